import { BillingError } from "../../../billing/errors.ts";
import { type Money, parseMoney } from "../../../billing/money.ts";
import type { Client } from "../../../client/client.ts";
import type { ApiToken, CreateTokenRequest } from "../../../contract/identity.ts";
import type { Context } from "../../context.ts";
import { CliError, usageError } from "../../errors.ts";
import { assertConsent, confirmOrCancel } from "../../prompts/asking.ts";
import { shorten } from "../../render/shorten.ts";
import { connectToOrganization } from "../shared/connect.ts";
import type { GlobalOptions } from "../shared/globals.ts";
import { doneBefore, printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";
import type { CreateOptions, RevokeOptions } from "../tokens.ts";

/** Prints the API tokens that were not revoked, newest first. */
export async function list(options: GlobalOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const tokens = await withSpinner(context, options, "Reading tokens", client.tokens(organizationId));
  await printResult(context, options, "tokens list", tokens, async (view) => {
    const { renderTokens } = await import("../../render/tokens.ts");
    return renderTokens(tokens, view);
  });
}

/**
 * Creates an API token and prints it with its secret, which nobody can see again.
 *
 * @throws CliError `invalid_usage` for an amount that the currency does not have; `mfa_required`
 */
export async function create(options: CreateOptions, context: Context): Promise<void> {
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
  const printing = printResult(context, options, "tokens create", token, async (view) => {
    const { renderCreatedToken } = await import("../../render/tokens.ts");
    return renderCreatedToken(token, view);
  });
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
  await printResult(
    context,
    options,
    "tokens create",
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
export async function revoke(options: RevokeOptions, context: Context): Promise<void> {
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
  await printResult(context, options, "tokens revoke", { id, revoked: !dryRun, ...(dryRun && { dryRun }) }, () =>
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
