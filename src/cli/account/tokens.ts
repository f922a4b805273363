import { Argument, type Command, Option } from "commander";
import { BillingError } from "../../billing/errors.ts";
import { type Money, parseMoney } from "../../billing/money.ts";
import type { Client } from "../../client/client.ts";
import type { ApiToken, CreatedToken, CreateTokenRequest } from "../../contract/identity.ts";
import { SCOPES, type Scope, TOKEN_DAYS } from "../../contract/scopes.ts";
import { connectToOrganization } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { doneBefore, printResult, type View } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { type Column, fields, list } from "../kit/table.ts";
import { clean, cleanWhole, shorten, shortId } from "../kit/text.ts";
import { lifetimeDays, monthlyAmount, monthlyLicenses, scopeList, shortText, trimmedText } from "../kit/values.ts";
import { instant } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import { spendLimit } from "./whoami.ts";

/** What `tokens create` was told. */
export interface CreateOptions extends GlobalOptions {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresInDays: number;
  /** In major units of the subscription's currency, `500` or `500.00`. */
  readonly maxSpend: string | null;
  readonly maxLicenses: number | null;
  readonly totp: string | null;
  readonly dryRun: boolean;
}

/** What `tokens revoke` was told. */
export interface RevokeOptions extends GlobalOptions {
  readonly tokenId: string;
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** What the commands of the group do. */
export interface TokensRuns {
  readonly list: Run<GlobalOptions>;
  readonly create: Run<CreateOptions>;
  readonly revoke: Run<RevokeOptions>;
}

interface CreateFlags {
  name: string;
  scopes: Scope[];
  expires?: number;
  maxSpend?: string;
  maxLicenses?: number;
  totp?: string;
  dryRun?: boolean;
}

/** Registers `tokens list`, `create` and `revoke`. */
export function register(program: Command, context: Context, runs: TokensRuns = RUNS): void {
  const group = addCommand(program, {
    name: "tokens",
    examples: ["tokens list", "tokens create --name ci --scopes billing:purchase"],
  });
  addCommand(group, {
    name: "list",
    description: "List the API tokens of the organization",
    examples: ["tokens list", "tokens list --json"],
  }).action((_flags: unknown, command: Command) =>
    interruptible(context, () => runs.list(readGlobals(command), context)),
  );
  registerCreate(group, context, runs.create);
  addCommand(group, {
    name: "revoke",
    description: "Revoke an API token; it stops working at once",
    examples: ["tokens revoke tok_4f8c21d9", "tokens revoke tok_4f8c21d9 --json"],
  })
    .addArgument(new Argument("<id>", "id, or its first 8 digits, as `tokens list` shows it").argParser(trimmedText))
    .option("--yes", "revoke without asking")
    .option("--dry-run", "say what would be done, revoke nothing")
    .action((tokenId: string, { yes = false, dryRun = false }: { yes?: boolean; dryRun?: boolean }, command: Command) =>
      interruptible(context, () => runs.revoke({ ...readGlobals(command), tokenId, yes, dryRun }, context)),
    );
}

function registerCreate(group: Command, context: Context, run: Run<CreateOptions>): void {
  addCommand(group, {
    name: "create",
    description: "Create an API token; it is shown once",
    examples: [
      "tokens create --name ci --scopes billing:purchase",
      "tokens create --name a --scopes users:read --expires 7d",
    ],
  })
    .requiredOption("--name <name>", "what it is for", shortText(100))
    .addOption(
      new Option("--scopes <scopes>", "what it may do, separated by commas")
        .choices(SCOPES)
        .argParser(scopeList)
        .makeOptionMandatory(),
    )
    .option("--expires <days>", `such as 30d (default: ${TOKEN_DAYS.usual}d)`, lifetimeDays)
    .option("--max-spend <amount>", "with tax in a calendar month, such as 500/month", monthlyAmount)
    .option("--max-licenses <n>", "in a calendar month, such as 10/month", monthlyLicenses)
    .option("--dry-run", "say what would be done, create nothing")
    .addOption(totpOption())
    .action((flags: CreateFlags, command: Command) => {
      const options = {
        ...readGlobals(command),
        name: flags.name,
        scopes: flags.scopes,
        expiresInDays: flags.expires ?? TOKEN_DAYS.usual,
        maxSpend: flags.maxSpend ?? null,
        maxLicenses: flags.maxLicenses ?? null,
        totp: readTotp(flags.totp),
        dryRun: flags.dryRun === true,
      };
      return interruptible(context, () => run(options, context));
    });
}

const RUNS: TokensRuns = { list: listTokens, create: createToken, revoke: revokeToken };

/** Prints the API tokens that were not revoked, newest first. */
export async function listTokens(options: GlobalOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const tokens = await withSpinner(context, options, "Reading tokens", client.tokens(organizationId));
  await printResult<"tokens list">(context, options, tokens, (view) => renderTokens(tokens, view));
}

/**
 * Creates an API token and prints it with its secret, which nobody can see again.
 *
 * @throws CliError `invalid_usage` for an amount that the currency does not have; `mfa_required`
 */
export async function createToken(options: CreateOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const amount = options.maxSpend === null ? null : await amountOf(options.maxSpend, client, organizationId);
  const { name, scopes, expiresInDays, maxLicenses: licenses } = options;
  const spendLimit = amount === null && licenses === null ? null : { amount, licenses };
  if (options.dryRun) {
    // Whoever may not create tokens may not see them either.
    await withSpinner(context, options, "Reading tokens", client.tokens(organizationId));
    return await printPlan(options, context, spendLimit);
  }
  const creating = client.createToken(organizationId, { name, scopes: [...scopes], expiresInDays, spendLimit });
  const token = await withSpinner(context, options, "Creating the token", creating);
  if (!options.json) context.io.workflowCommand("add-mask", token.token);
  const printing = printResult<"tokens create">(context, options, token, (view) => renderCreatedToken(token, view));
  const hint = `Nobody can see it again. Revoke it with \`secureflag-licenses tokens revoke ${token.id}\`.`;
  await doneBefore(printing, `The token ${token.id} was created`, hint);
}

/** What a dry run would create; what only a token that exists has is `null`. */
async function printPlan(
  options: CreateOptions,
  context: Context,
  limit: CreateTokenRequest["spendLimit"],
): Promise<void> {
  const { name, scopes, expiresInDays } = options;
  const { amount = null, licenses = null } = limit ?? {};
  const spendLimit = limit ? { amount, amountLeft: amount, licenses, licensesLeft: licenses } : null;
  const unmade = { id: null, createdAt: null, expiresAt: null, last4: null, createdBy: null, token: null };
  const plan = { ...unmade, name, scopes: [...scopes], expiresIn: expiresInDays * 86_400, spendLimit };
  await printResult<"tokens create">(
    context,
    options,
    { ...plan, dryRun: true },
    () => `Dry run: would create the token ${name} for ${scopes.join(", ")}, for ${expiresInDays} days.`,
  );
}

/**
 * Revokes an API token.
 *
 * @throws CliError `invalid_usage` before any request where nobody can be asked and `--yes` is missing,
 *   `declined_by_person`
 */
export async function revokeToken(options: RevokeOptions, context: Context): Promise<void> {
  assertConsent(context, options, "revoke the token");
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const { dryRun, yes } = options;
  const isDecided = yes && !dryRun && !SHORT_ID.test(options.tokenId);
  const id = isDecided ? options.tokenId : await knownToken(options.tokenId, client, organizationId);
  if (dryRun) return await printRevoked(options, context, id);
  if (!yes) {
    await confirmOrCancel(context, options, `Revoke ${shorten(id)}? Anything that uses it stops working at once.`);
  }
  await withSpinner(context, options, "Revoking the token", client.revokeApiToken(organizationId, id));
  const hint = "Look at `secureflag-licenses tokens list`. Running the same command again is safe.";
  await doneBefore(printRevoked(options, context, id), `The token ${id} was revoked`, hint);
}

async function printRevoked(options: RevokeOptions, context: Context, id: string): Promise<void> {
  const { dryRun } = options;
  await printResult<"tokens revoke">(context, options, { id, revoked: !dryRun, ...(dryRun && { dryRun }) }, () =>
    dryRun ? `Dry run: would revoke the token ${id}.` : `The token ${id} is revoked.`,
  );
}

/** The beginning of an id, as `tokens list` shows it on a terminal. */
const SHORT_ID = /^tok_[0-9a-f]{8,23}$/;

/**
 * The id of a token that is there, named by it or by its beginning.
 *
 * @throws CliError `not_found`; `invalid_usage` where several begin so
 */
async function knownToken(id: string, client: Pick<Client, "tokens">, organizationId: number): Promise<string> {
  const tokens = await client.tokens(organizationId);
  const isNamed = (token: ApiToken) => token.id === id || (SHORT_ID.test(id) && token.id.startsWith(id));
  const [found, another] = tokens.filter(isNamed);
  if (another) throw usageError(`Several API tokens begin with ${id}`, "Give the whole id: `tokens list --json`.");
  if (found) return found.id;
  throw new CliError("not_found", `There is no API token ${shorten(id)} in this organization`, {
    hint: "See `secureflag-licenses tokens list`.",
  });
}

/** The amount in the subscription's currency, which only the backend knows. */
async function amountOf(text: string, client: Pick<Client, "subscription">, organizationId: number): Promise<Money> {
  const { plan } = await client.subscription(organizationId);
  try {
    return parseMoney(text, plan.unitPrice.currency);
  } catch (error) {
    if (error instanceof BillingError)
      throw usageError(`--max-spend: ${error.message}`, "Correct it and run the command again; no token was created.");
    throw error;
  }
}

const LIST: readonly Column[] = [
  { head: "Name", cutTo: 8 },
  { head: "Scopes", cutTo: 12 },
  { head: "Limit", cutTo: 12 },
  { head: "Expires" },
  { head: "By", cutTo: 8, isOptional: true },
  { head: "Ends in", isOptional: true },
  { head: "Id" },
];

/** API tokens as a table; never a secret. */
export function renderTokens(tokens: readonly ApiToken[], view: View): string {
  if (tokens.length === 0) return "There is no API token; `secureflag-licenses tokens create` makes one.";
  const rows = tokens.map((token) => [
    clean(token.name),
    token.scopes.map((text) => clean(text)).join(", ") || "none",
    spendLimit(token.spendLimit)?.replace("\n", "; ") ?? "none",
    expiryDate(token),
    clean(token.createdBy.email),
    token.last4 === null ? "" : clean(token.last4),
    Number.isFinite(view.width) ? shortId(clean(token.id)) : clean(token.id),
  ]);
  return list(LIST, rows, view) ?? tokens.map((token) => renderToken(token, view)).join("\n\n");
}

/** A new token: the secret on a line of its own, whole, and what it is. */
export function renderCreatedToken(token: CreatedToken, view: View): string {
  const shownOnce = "This is shown once. Keep it where your CI keeps secrets, as SECUREFLAG_API_TOKEN.";
  return `${cleanWhole(token.token)}\n\n${wrap(shownOnce, view.width)}\n\n${renderToken(token, view)}`;
}

function renderToken(token: ApiToken, view: View): string {
  return fields(
    [
      ["Token", view.style.bold(clean(token.name))],
      ["Id", clean(token.id)],
      ["Ends in", token.last4 && clean(token.last4)],
      ["Scopes", token.scopes.map((scope) => clean(scope)).join(", ") || "none"],
      ["Expires", expiry(token)],
      ["Limit", spendLimit(token.spendLimit)],
      ["Created by", clean(token.createdBy.email)],
    ],
    view,
  );
}

function expiry({ expiresAt, expiresIn }: ApiToken): string {
  if (expiresAt === null) return "never";
  return expiresIn === 0 ? `${instant(expiresAt)} (over)` : instant(expiresAt);
}

/** A date where a column has no room for the time of day. */
function expiryDate({ expiresAt, expiresIn }: ApiToken): string {
  if (expiresAt === null) return "never";
  return expiresIn === 0 ? "expired" : expiresAt.slice(0, 10);
}
