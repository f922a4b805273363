import { knownMe } from "../../../client/missing.ts";
import type { Subscription } from "../../../contract/billing.ts";
import type { Context } from "../../context.ts";
import { codeOf } from "../../errors.ts";
import { assertConsent, confirmOrCancel } from "../../prompts/asking.ts";
import { checkPurchased } from "../../purchasing/guards.ts";
import { reduced } from "../../purchasing/reduction.ts";
import { assertMayPurchase } from "../../purchasing/tokenLimit.ts";
import { renderReduction, renderReductionChange } from "../../render/reduction.ts";
import { licenses } from "../../render/words.ts";
import type { ReduceOptions } from "../licenses.ts";
import { buyerName } from "../shared/buyer.ts";
import { type Connection, connectToOrganization } from "../shared/connect.ts";
import { doneBefore, note, printResult, viewOf } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";

/**
 * Schedules fewer licenses for the renewal, or takes that back, and prints what the renewal will be.
 *
 * @throws CliError `invalid_usage` before any request where nobody can be asked and `--yes` is missing;
 *   `if_purchased_not_met`, `declined_by_person`; what refuses the request
 */
export async function run(options: ReduceOptions, context: Context): Promise<void> {
  assertConsent(context, options, "change the renewal");
  const { connection, organizationId } = await connectToOrganization(context, options, "billing");
  const after = await reduce(organizationId, connection, options, context);
  const { reduction, licenses: counts, renewal } = after;
  const result = { reduction, licenses: counts, renewal, dryRun: options.dryRun };
  const printing = printResult(context, options, "licenses reduce", result, (view) =>
    renderReduction(result, after.term, view),
  );
  const done = options.licenses === null ? "The reduction was taken back" : "The reduction was scheduled";
  await (options.dryRun
    ? printing
    : doneBefore(printing, done, "Look at `secureflag-licenses status`. Running the same command again is safe."));
}

/** What is there already is not asked for again. A person who decided on what has changed since decides again. */
async function reduce(
  organizationId: number,
  connection: Connection,
  options: ReduceOptions,
  context: Context,
): Promise<Subscription> {
  const reading = connection.client.subscription(organizationId);
  const before = await withSpinner(context, options, "Reading the subscription", reading);
  checkPurchased(options, before, "This command changed nothing");
  const isThere = (before.reduction?.licenses ?? null) === options.licenses;
  const planned = isThere ? before : reduced(before, options.licenses);
  if (isThere || options.dryRun) return planned;
  if (!options.yes) await confirm(before, planned, connection, options, context);
  try {
    return await change(before, organizationId, connection, options, context);
  } catch (error) {
    if (options.yes || codeOf(error) !== "subscription_changed") throw error;
    note(context, options, "The subscription changed meanwhile. Nothing was changed; this is how it is now:");
    return await reduce(organizationId, connection, options, context);
  }
}

function change(
  { version }: Subscription,
  organizationId: number,
  { client }: Connection,
  options: ReduceOptions,
  context: Context,
): Promise<Subscription> {
  const changing =
    options.licenses === null
      ? client.cancelReduction(organizationId)
      : client.reduceLicenses(organizationId, { licenses: options.licenses, subscriptionVersion: version });
  return withSpinner(context, options, "Changing the renewal", changing);
}

/** Shows what the renewal will be, and asks; the default answer is No. */
async function confirm(
  before: Subscription,
  after: Subscription,
  connection: Connection,
  options: ReduceOptions,
  context: Context,
): Promise<void> {
  const me = await withSpinner(context, options, "Asking who you are", knownMe(connection.client));
  assertMayPurchase(me);
  const signedInAs = buyerName(me, connection);
  const { apiUrl, isLoopback: isSandbox } = connection.client;
  const view = await viewOf(context, options, "stderr");
  const setting = { apiUrl, isSandbox, signedInAs, target: null };
  context.io.note(`${renderReductionChange(before, after, setting, view)}\n`);
  const question =
    options.licenses === null
      ? "Take the scheduled reduction back?"
      : `Have ${licenses(options.licenses)} from ${after.term.renewalDate} on?`;
  await confirmOrCancel(context, options, question);
}
