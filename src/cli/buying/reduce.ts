import { Argument, type Command, Option } from "commander";
import { knownMe } from "../../client/missing.ts";
import type { Subscription } from "../../contract/billing.ts";
import { type Connection, connectToOrganization } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { Context } from "../context.ts";
import { codeOf, type ErrorCode, usageError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, note, printResult, type View, viewOf } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { fields } from "../kit/table.ts";
import { clean } from "../kit/text.ts";
import { wholeNumber } from "../kit/values.ts";
import { counts, licenses, organizationAndMode, reducedTo, withTax } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import type { Output } from "../outputs.ts";
import type { PurchaseSetting } from "./approver.ts";
import { assertMayPurchase, checkPurchased } from "./engine/guards.ts";
import { buyerName } from "./options.ts";
import { reduced } from "./reduction.ts";

/** The options of `licenses reduce`. */
export interface ReduceOptions extends GlobalOptions {
  /** The number of licenses from the renewal on; `null` cancels a scheduled reduction. */
  readonly licenses: number | null;
  readonly yes: boolean;
  readonly ifPurchased: number | null;
  readonly dryRun: boolean;
  readonly totp: string | null;
}

interface ReduceFlags {
  readonly cancel?: boolean;
  readonly yes?: boolean;
  readonly ifPurchased?: number;
  readonly dryRun?: boolean;
  readonly totp?: string;
}

const TERMS = `
A reduction costs nothing and takes effect on the renewal
date; until then you keep all licenses. Licenses bought
meanwhile are added; those in use on that day are renewed.`;

/** Registers `licenses reduce`. */
export function register(program: Command, context: Context, run: Run<ReduceOptions> = runReduce): void {
  const group = addCommand(program, {
    name: "licenses",
    examples: ["licenses reduce 20", "licenses reduce --cancel"],
  });
  addCommand(group, {
    name: "reduce",
    description: "Schedule fewer licenses for the renewal date, or cancel that",
    examples: ["licenses reduce 20 --if-purchased 25", "licenses reduce --cancel"],
  })
    .addArgument(new Argument("[n]", "number of licenses from the renewal on").argParser(wholeNumber(0)))
    .addOption(new Option("--cancel", "cancel the scheduled reduction"))
    .option("--yes", "change the renewal without a prompt")
    .option("--if-purchased <n>", "only if exactly <n> licenses are purchased now", wholeNumber(0))
    .option("--dry-run", "show what would be done without doing it")
    .addOption(totpOption())
    .addHelpText("after", TERMS)
    .action((licenses: number | undefined, flags: ReduceFlags, command: Command) => {
      const options = {
        ...readGlobals(command),
        licenses: countOf(licenses, flags.cancel === true),
        yes: flags.yes === true,
        ifPurchased: flags.ifPurchased ?? null,
        dryRun: flags.dryRun === true,
        totp: readTotp(flags.totp),
      };
      return interruptible(context, () => run(options, context));
    });
}

function countOf(licenses: number | undefined, cancel: boolean): number | null {
  if ((licenses === undefined) === cancel) return licenses ?? null;
  throw usageError(
    cancel ? "<n> cannot be used with --cancel" : "Missing argument: <n>",
    "Example: `secureflag-licenses licenses reduce 20`, or `secureflag-licenses licenses reduce --cancel`.",
  );
}

/**
 * Schedules fewer licenses for the renewal, or cancels that, and prints what the renewal will be.
 *
 * @throws CliError `invalid_usage` if it cannot prompt and `--yes` is missing, before any request unless `--if-purchased` is
 *   passed; `if_purchased_not_met`, `declined_by_person`; what refuses the request
 */
export async function runReduce(options: ReduceOptions, context: Context): Promise<void> {
  try {
    assertConsent(context, options, "change the renewal");
  } catch (error) {
    await assertReductionPasses(options, context);
    throw error;
  }
  const { connection, organizationId } = await connectToOrganization(context, options, "billing");
  const after = await reduce(organizationId, connection, options, context);
  const { reduction, licenses: counts, renewal } = after;
  const result = { reduction, licenses: counts, renewal, dryRun: options.dryRun };
  const printing = printResult<"licenses reduce">(context, options, result, (view) =>
    renderReduction(result, after.term, view),
  );
  const done = options.licenses === null ? "The reduction was canceled" : "The reduction was scheduled";
  await (options.dryRun
    ? printing
    : awaitPrinting(printing, done, "See `secureflag-licenses status`. Running the same command again is safe."));
}

const REFUSALS: readonly (ErrorCode | null)[] = [
  "if_purchased_not_met",
  "invalid_request",
  "subscription_not_purchasable",
];

/** Refuses what would be refused with `--yes` as well. Reads the subscription only for `--if-purchased`. */
async function assertReductionPasses(options: ReduceOptions, context: Context): Promise<void> {
  if (options.ifPurchased === null) return;
  try {
    const { connection, organizationId } = await connectToOrganization(context, options, "billing");
    await reduce(organizationId, connection, { ...options, dryRun: true }, context);
  } catch (error) {
    if (REFUSALS.includes(codeOf(error))) throw error;
  }
}

/** Changes nothing that is already so. If the subscription changes while a person decides, asks again. */
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
    note(context, options, "The subscription changed meanwhile. Nothing was changed. The subscription is now:");
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

/** Shows what the renewal will be and asks; the default answer is No. */
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
  const { apiUrl } = connection.client;
  const view = await viewOf(context, options, "stderr");
  const setting = { apiUrl, signedInAs, target: null };
  context.io.note(`${renderReductionChange(before, after, setting, view)}\n`);
  const question =
    options.licenses === null
      ? "Cancel the scheduled reduction?"
      : `Reduce to ${licenses(options.licenses)} from ${after.term.renewalDate} on?`;
  await confirmOrCancel(context, options, question);
}

/** Renders what a person sees before a reduction is scheduled or canceled. */
export function renderReductionChange(
  before: Subscription,
  after: Subscription,
  setting: PurchaseSetting,
  view: View,
): string {
  const { term } = before;
  return fields(
    [
      ["Organization", organizationAndMode(before, view)],
      ["Backend", new URL(setting.apiUrl).origin],
      ["Signed in as", setting.signedInAs && clean(setting.signedInAs)],
      ["Licenses now", counts(before.licenses)],
      ["On the renewal", view.style.bold(`${before.renewal.licenses ?? 0} → ${after.renewal.licenses ?? 0} licenses`)],
      ["Renewal", term.renewalDate],
      ["Renews at", renewal(after.renewal)],
      ["Instead of", renewal(before.renewal)],
      ["Due now", "nothing"],
    ],
    view,
  );
}

/** Renders what the renewal will be after a reduction was scheduled or canceled. */
export function renderReduction(
  { reduction, licenses: now, renewal: next, dryRun }: Output<"licenses reduce">,
  { renewalDate }: Pick<Subscription["term"], "renewalDate">,
  view: View,
): string {
  const would = dryRun ? "Dry run: would have " : "";
  const headline =
    reduction === null
      ? `${would || "There will be "}no reduction on ${renewalDate}.`
      : `${would || "There will be "}${reducedTo(reduction, now.used)} from ${reduction.date} on.`;
  const facts = fields(
    [
      ["Renews at", renewal(next)],
      ["Licenses now", counts(now)],
    ],
    view,
  );
  return `${view.style.green(wrap(headline, view.width))}\n${facts}`;
}

function renewal({ licenses: count, subtotal, tax, total }: Subscription["renewal"]): string | null {
  if (count === null || !subtotal || !tax || !total) return null;
  return `${withTax({ total, net: subtotal, tax })} for ${licenses(count)}`;
}
