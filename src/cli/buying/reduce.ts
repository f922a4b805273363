import { Argument, type Command, Option } from "commander";
import { type Charge, largestChargeStep, recurringCharge } from "../../billing/proration.ts";
import { licensesAtRenewal } from "../../billing/quote.ts";
import { knownMe } from "../../client/missing.ts";
import type { Subscription } from "../../contract/billing.ts";
import { type Connection, connectToOrganization } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf, usageError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { doneBefore, note, printResult, type View, viewOf } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { fields } from "../kit/table.ts";
import { clean } from "../kit/text.ts";
import { wholeNumber } from "../kit/values.ts";
import { counts, licenses, reducedTo, withTax } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import type { Output } from "../outputs.ts";
import { backendName, type PurchaseSetting } from "./approver.ts";
import { assertMayPurchase, checkPurchased } from "./engine/guards.ts";
import { purchaseDateOf } from "./engine/offer.ts";
import { buyerName } from "./options.ts";
import { payCommand } from "./purchaseView.ts";

/** What `licenses reduce` was told. */
export interface ReduceOptions extends GlobalOptions {
  /** How many licenses there are to be from the renewal on; `null` takes a scheduled reduction back. */
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
It costs nothing and takes effect on the renewal date; until
then every license stays. Licenses that are bought meanwhile
come on top, and those in use on that day are all renewed.`;

/** Registers `licenses reduce`. */
export function register(program: Command, context: Context, run: Run<ReduceOptions> = runReduce): void {
  const group = addCommand(program, {
    name: "licenses",
    examples: ["licenses reduce 20", "licenses reduce --cancel"],
  });
  addCommand(group, {
    name: "reduce",
    description: "Schedule fewer licenses for the renewal date, or take that back",
    examples: ["licenses reduce 20 --if-purchased 25", "licenses reduce --cancel"],
  })
    .addArgument(new Argument("[n]", "so many licenses from the renewal on").argParser(wholeNumber(0)))
    .addOption(new Option("--cancel", "keep all licenses: take the scheduled reduction back"))
    .option("--yes", "do it without asking")
    .option("--if-purchased <n>", "only if this many licenses are purchased now", wholeNumber(0))
    .option("--dry-run", "say what would be done, change nothing")
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
    cancel ? "A reduction cannot be both scheduled and canceled" : "How many licenses there are to be is missing",
    "Say either a number, such as `licenses reduce 20`, or --cancel.",
  );
}

/**
 * Schedules fewer licenses for the renewal, or takes that back, and prints what the renewal will be.
 *
 * @throws CliError `invalid_usage` before any request where nobody can be asked and `--yes` is missing;
 *   `if_purchased_not_met`, `declined_by_person`; what refuses the request
 */
export async function runReduce(options: ReduceOptions, context: Context): Promise<void> {
  assertConsent(context, options, "change the renewal");
  const { connection, organizationId } = await connectToOrganization(context, options, "billing");
  const after = await reduce(organizationId, connection, options, context);
  const { reduction, licenses: counts, renewal } = after;
  const result = { reduction, licenses: counts, renewal, dryRun: options.dryRun };
  const printing = printResult<"licenses reduce">(context, options, result, (view) =>
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

/** What a person sees before a reduction is scheduled, or taken back. */
export function renderReductionChange(
  before: Subscription,
  after: Subscription,
  setting: PurchaseSetting,
  view: View,
): string {
  const { organization, term } = before;
  return fields(
    [
      ["Organization", `${clean(organization.name)} (${organization.id})`],
      ["Backend", backendName(setting, view)],
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

/** What the renewal will be after a reduction was scheduled, or taken back. */
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

const NOTHING_CHANGED = "Nothing was changed. Look at `secureflag-licenses status`, then decide again.";

/**
 * A subscription as it would be with a reduction, or without one, by the rules that the backend follows (details.md, 31).
 *
 * @param count so many licenses from the renewal on; `null` for all
 * @throws CliError as the backend would refuse it: `invalid_request` for no fewer licenses, or fewer than are used;
 *   `subscription_not_purchasable` where nothing will be renewed, or a reduction counts already
 */
export function reduced(subscription: Subscription, count: number | null): Subscription {
  const { purchased, used } = subscription.licenses;
  assertChangeable(subscription);
  if (count !== null) assertReducible(subscription, count);
  const { autoRenew } = subscription.renewal;
  if (!autoRenew) return { ...subscription, reduction: null };
  const renewing = licensesAtRenewal({ purchased, used, reduction: count });
  const charge = chargeFor(subscription, renewing);
  return {
    ...subscription,
    reduction: count === null ? null : { licenses: count, date: subscription.term.renewalDate },
    renewal: { autoRenew, licenses: renewing, ...charge },
  };
}

/** Charged in the steps that explain what the renewal costs now: the subscription does not tell them. */
function chargeFor({ plan: { unitPrice }, taxRate, renewal }: Subscription, count: number): Charge {
  const charge = (licenses: number, chargeStep: number) =>
    recurringCharge({ unitPrice, licenses, taxRate, chargeStep });
  const coarse = largestChargeStep(unitPrice.currency);
  const isCoarse = renewal.licenses !== null && charge(renewal.licenses, coarse).total.amount === renewal.total?.amount;
  return charge(count, isCoarse ? coarse : 1);
}

/**
 * While a renewal is not paid, a reduction may wait for the renewal of a term that has begun, and is in its price. Of one
 * whose renewal is just being made the backend decides.
 */
function assertChangeable(subscription: Subscription): void {
  const { reduction, state, unpaid } = subscription;
  const isPaid = state !== "past_due" && state !== "suspended";
  if (isPaid || reduction === null || reduction.date > purchaseDateOf(subscription)) return;
  throw new CliError(
    "subscription_not_purchasable",
    `The reduction to ${reduction.licenses} counts since ${reduction.date}; ` +
      "it cannot be changed before the renewals until today are paid",
    {
      hint:
        unpaid === null
          ? "Nothing was changed. See `secureflag-licenses purchases list --kind renewal`, " +
            "then pay with `secureflag-licenses purchases pay <id>`."
          : `Nothing was changed. Pay the renewal with ${payCommand(unpaid.purchaseId)}.`,
    },
  );
}

function assertReducible({ renewal, term, licenses: { purchased, used } }: Subscription, count: number): void {
  if (!renewal.autoRenew) {
    throw new CliError(
      "subscription_not_purchasable",
      `The subscription does not renew on ${term.renewalDate}, with fewer licenses or with more`,
      { hint: NOTHING_CHANGED },
    );
  }
  if (count < used) throw refused(`${count} is fewer than the ${licenses(used)} in use, of ${purchased} purchased`);
  if (count >= purchased) {
    throw refused(`${count} is not fewer than the ${licenses(purchased)} purchased, of which ${used} are in use`);
  }
}

function refused(message: string): CliError {
  return new CliError("invalid_request", message, { hint: NOTHING_CHANGED });
}
