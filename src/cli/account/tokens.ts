import { Argument, type Command, Option } from "commander";
import type { Client } from "../../client/client.ts";
import { DEFAULT_TOKEN_DAYS, SCOPES, type Scope } from "../../contract/constants.ts";
import type { ApiToken, CreateTokenRequest } from "../../contract/identity.ts";
import { connectToOrganization } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import {
  addCommand,
  csvOption,
  type GlobalOptions,
  interruptible,
  type Run,
  readCsv,
  readGlobals,
} from "../kit/command.ts";
import { awaitPrinting, printResult } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { shorten } from "../kit/text.ts";
import { lifetimeDays, scopeList, shortText, trimmedText } from "../kit/values.ts";
import {
  addLimitFlags,
  type LimitFlags,
  type LimitOptions,
  readLimitFlags,
  spendLimitOf,
  unspent,
} from "./spendLimit.ts";
import { renderCreatedToken, renderTokens, tokensCsv } from "./tokenView.ts";
import { registerTrusts } from "./trusts.ts";

/** Options of `tokens list`. */
export interface ListOptions extends GlobalOptions {
  readonly csv: boolean;
}

/** Options of `tokens create`. */
export interface CreateOptions extends GlobalOptions, LimitOptions {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresInDays: number;
  readonly totp: string | null;
  readonly dryRun: boolean;
}

/** Options of `tokens revoke`. */
export interface RevokeOptions extends GlobalOptions {
  readonly tokenId: string;
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** The functions that run the commands of the group. */
export interface TokensRuns {
  readonly list: Run<ListOptions>;
  readonly create: Run<CreateOptions>;
  readonly revoke: Run<RevokeOptions>;
}

interface CreateFlags extends LimitFlags {
  name: string;
  scopes: Scope[];
  expires?: number;
  totp?: string;
  dryRun?: boolean;
}

/** Registers `tokens list`, `create`, `revoke` and `trust`. */
export function register(program: Command, context: Context, runs: TokensRuns = RUNS): void {
  const group = addCommand(program, {
    name: "tokens",
    examples: ["tokens list", "tokens create --name ci --scopes billing:read,billing:purchase"],
  });
  addCommand(group, {
    name: "list",
    description: "List the API tokens of the organization",
    examples: ["tokens list", "tokens list --csv > tokens.csv"],
  })
    .addOption(csvOption("print CSV, with amounts in major units"))
    .action((flags: { csv?: boolean }, command: Command) => {
      const globals = readGlobals(command);
      return interruptible(context, () => runs.list({ ...globals, csv: readCsv(flags, globals) }, context));
    });
  registerCreate(group, context, runs.create);
  addCommand(group, {
    name: "revoke",
    description: "Revoke an API token; it stops working at once",
    examples: ["tokens revoke tok_4f8c21d9", "tokens revoke tok_4f8c21d9 --json"],
  })
    .addArgument(new Argument("<id>", "ID of the token, or its first 8 digits").argParser(tokenName))
    .option("--yes", "revoke without a prompt")
    .option("--dry-run", "show what would be revoked, revoke nothing")
    .action((tokenId: string, { yes = false, dryRun = false }: { yes?: boolean; dryRun?: boolean }, command: Command) =>
      interruptible(context, () => runs.revoke({ ...readGlobals(command), tokenId, yes, dryRun }, context)),
    );
  registerTrusts(group, context);
}

function registerCreate(group: Command, context: Context, run: Run<CreateOptions>): void {
  const create = addCommand(group, {
    name: "create",
    description: "Create an API token; it is shown once",
    examples: [
      "tokens create --name ci --scopes billing:read,billing:purchase",
      "tokens create --name a --scopes users:read --expires 7d",
    ],
  })
    .requiredOption("--name <name>", "name of the token", shortText(100))
    .addOption(
      new Option("--scopes <scopes>", "what the token may do, separated by commas")
        .choices(SCOPES)
        .argParser(scopeList)
        .makeOptionMandatory(),
    )
    .option("--expires <days>", `lifetime, for example 30d (default: ${DEFAULT_TOKEN_DAYS}d)`, lifetimeDays);
  addLimitFlags(create)
    .option("--dry-run", "show what would be created, create nothing")
    .addOption(totpOption())
    .action((flags: CreateFlags, command: Command) => {
      const options = {
        ...readGlobals(command),
        name: flags.name,
        scopes: flags.scopes,
        expiresInDays: flags.expires ?? DEFAULT_TOKEN_DAYS,
        ...readLimitFlags(flags),
        totp: readTotp(flags.totp),
        dryRun: flags.dryRun === true,
      };
      return interruptible(context, () => run(options, context));
    });
}

const RUNS: TokensRuns = { list: listTokens, create: createToken, revoke: revokeToken };

/** Prints the API tokens that are not revoked, newest first. */
export async function listTokens(options: ListOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const tokens = await withSpinner(context, options, "Reading tokens", client.tokens(organizationId));
  await printResult<"tokens list">(context, options, tokens, (view) =>
    options.csv ? tokensCsv(tokens) : renderTokens(tokens, view),
  );
}

/**
 * Creates an API token and prints it with its secret, which is shown once.
 *
 * @throws CliError `invalid_usage` for an amount with too many decimals; `mfa_required`
 */
export async function createToken(options: CreateOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const spendLimit = await spendLimitOf(options, client, organizationId);
  const { name, scopes, expiresInDays } = options;
  if (options.dryRun) {
    // The right to create tokens is the right to list them.
    await withSpinner(context, options, "Reading tokens", client.tokens(organizationId));
    return await printPlan(options, context, spendLimit);
  }
  const creating = client.createToken(organizationId, { name, scopes: [...scopes], expiresInDays, spendLimit });
  const token = await withSpinner(context, options, "Creating the token", creating);
  if (!options.json) context.io.workflowCommand("add-mask", token.token);
  const printing = printResult<"tokens create">(context, options, token, (view) => renderCreatedToken(token, view));
  const hint = `It cannot be shown again. Revoke it with \`secureflag-licenses tokens revoke ${token.id}\`.`;
  await awaitPrinting(printing, `The token ${token.id} was created`, hint);
}

/** Prints what would be created; the fields of an existing token are `null`. */
async function printPlan(
  options: CreateOptions,
  context: Context,
  limit: CreateTokenRequest["spendLimit"],
): Promise<void> {
  const { name, scopes, expiresInDays } = options;
  const unmade = { id: null, createdAt: null, expiresAt: null, last4: null, createdBy: null, token: null };
  const plan = { ...unmade, name, scopes: [...scopes], expiresIn: expiresInDays * 86_400, spendLimit: unspent(limit) };
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
 * @throws CliError `invalid_usage` before any request if there is no prompt and no `--yes`, `declined_by_person`
 */
export async function revokeToken(options: RevokeOptions, context: Context): Promise<void> {
  assertConsent(context, options, "revoke the token");
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const { dryRun, yes } = options;
  const isDecided = yes && !dryRun && !SHORT_ID.test(options.tokenId);
  const id = isDecided ? options.tokenId : await knownToken(options.tokenId, client, organizationId);
  if (dryRun) return await printRevoked(options, context, id);
  if (!yes) {
    await confirmOrCancel(context, options, `Revoke ${shorten(id)}? Everything that uses it stops working at once.`);
  }
  await withSpinner(context, options, "Revoking the token", client.revokeApiToken(organizationId, id));
  const hint = "See `secureflag-licenses tokens list`. Running the same command again is safe.";
  await awaitPrinting(printRevoked(options, context, id), `The token ${id} was revoked`, hint);
}

async function printRevoked(options: RevokeOptions, context: Context, id: string): Promise<void> {
  const { dryRun } = options;
  await printResult<"tokens revoke">(context, options, { id, revoked: !dryRun, ...(dryRun && { dryRun }) }, () =>
    dryRun ? `Dry run: would revoke the token ${id}.` : `Revoked the token ${id}.`,
  );
}

/** A shortened ID, as `tokens list` shows it on a terminal. */
const SHORT_ID = /^tok_[0-9a-f]{8,23}$/;

/** Adds the `tok_` that may be left out. */
function tokenName(text: string): string {
  const name = trimmedText(text);
  return /^[0-9a-f]{8,24}$/.test(name) ? `tok_${name}` : name;
}

/**
 * Finds the ID of an existing token by its ID or the first digits of it.
 *
 * @throws CliError `not_found`; `invalid_usage` if several tokens match
 */
async function knownToken(id: string, client: Pick<Client, "tokens">, organizationId: number): Promise<string> {
  const tokens = await client.tokens(organizationId);
  const isNamed = (token: ApiToken) => token.id === id || (SHORT_ID.test(id) && token.id.startsWith(id));
  const [found, another] = tokens.filter(isNamed);
  if (another) throw usageError(`Several API tokens start with ${id}`, "Pass the whole ID: see `tokens list --json`.");
  if (found) return found.id;
  throw new CliError("not_found", `API token not found: ${shorten(id)}`, {
    hint: "See `secureflag-licenses tokens list`.",
  });
}
