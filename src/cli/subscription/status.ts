import { type Command, Option } from "commander";
import { isTaxed } from "../../billing/proration.ts";
import type { Subscription } from "../../contract/billing.ts";
import { TRUST_PREFIX } from "../../contract/constants.ts";
import type { Me } from "../../contract/identity.ts";
import { missedRenewals, payCommand, unpaidDeadline, unpaidRenewal } from "../buying/purchaseView.ts";
import { type Connection, connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult, type View, warn } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { fields } from "../kit/table.ts";
import { bar, clean } from "../kit/text.ts";
import { wholeNumber } from "../kit/values.ts";
import {
  budgetWords,
  counts,
  dateAhead,
  decimalText,
  idleWords,
  interval,
  licenses,
  moneyText,
  paymentMethod,
  reducedTo,
  withTax,
} from "../kit/words.ts";

/** The options of `status`. */
export interface StatusOptions extends GlobalOptions {
  readonly failIfAvailableBelow: number | null;
  readonly failIfPastDue: boolean;
  /** Seconds between two readings; `null` for one. */
  readonly watch: number | null;
}

interface StatusFlags {
  readonly failIfAvailableBelow?: number;
  readonly failIfPastDue?: boolean;
  readonly watch?: number;
}

const WATCHING = `
--watch prints the status again when it changes, until
Ctrl-C. With --json, each update is one line.`;

/** Registers `status`. */
export function register(program: Command, context: Context, run: Run<StatusOptions> = runStatus): void {
  addCommand(program, {
    name: "status",
    examples: ["status", "status --json --fail-if-available-below 3"],
  })
    .option("--fail-if-available-below <n>", "exit with code 7 if fewer licenses are available", wholeNumber(0))
    .option("--fail-if-past-due", "exit with code 7 if the last renewal is unpaid")
    .addOption(
      new Option("--watch [seconds]", "check for changes at this interval (default: 30, at least 5)")
        .preset("30")
        .argParser(wholeNumber(5))
        .conflicts(["failIfAvailableBelow", "failIfPastDue"]),
    )
    .addHelpText("after", WATCHING)
    .action((flags: StatusFlags, command: Command) => {
      const { failIfAvailableBelow = null, failIfPastDue = false, watch = null } = flags;
      const options = { ...readGlobals(command), failIfAvailableBelow, failIfPastDue, watch };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Prints the subscription, and warnings on stderr about what needs action.
 *
 * @throws CliError `past_due`, `too_few_available` with nothing printed; what connecting and reading throw
 */
export async function runStatus(options: StatusOptions, context: Context): Promise<void> {
  if (options.watch !== null) {
    const { watchSubscription } = await import("./watch.ts");
    return await watchSubscription(options.watch, options, context, (each) => show(each, options, context));
  }
  const connection = await connect(context, options, "billing");
  const reading = connection.client.subscription(await connection.organizationId());
  // Runs meanwhile; a failure is ignored.
  const expiring = tokenExpiry(options, connection);
  const subscription = await withSpinner(context, options, "Reading the subscription", reading);
  if (options.failIfPastDue) assertPaid(subscription);
  const { available } = subscription.licenses;
  const minimum = options.failIfAvailableBelow;
  if (minimum !== null && available < minimum) {
    throw new CliError(
      "too_few_available",
      `${licenses(available)} ${available === 1 ? "is" : "are"} available, fewer than ${minimum}`,
      {
        hint: `Buy more with \`secureflag-licenses buy ${minimum - available}\`.`,
      },
    );
  }
  await show(subscription, options, context);
  if (options.json || options.quiet) return;
  const expiry = await expiring;
  if (expiry !== null) warn(context, options, expiry);
}

/** Prints the subscription with its warnings. Gives whether stdout took it. */
async function show(subscription: Subscription, options: StatusOptions, context: Context): Promise<boolean> {
  const isTaken = await printResult<"status">(context, options, subscription, (view) =>
    renderStatus(subscription, view),
  );
  for (const warning of subscriptionWarnings(subscription)) warn(context, options, warning);
  return isTaken;
}

/** @throws CliError `past_due`, without an amount and a deadline if the provider sends the invoice */
function assertPaid(subscription: Subscription): void {
  const { state, unpaid } = subscription;
  if (state !== "past_due" && state !== "suspended") return;
  const what = unpaidRenewal(subscription);
  const [label, value] = unpaidDeadline(subscription);
  const details = what === null ? "" : `: ${what}. ${label} ${value}`;
  throw new CliError("past_due", `The last renewal is unpaid${details}`, {
    hint: unpaid
      ? `Pay it with ${payCommand(unpaid.purchaseId)}.`
      : "Pay it from the email that its invoice came with.",
  });
}

/** Warns if the API token in use expires soon. A person's sign-in renews itself. */
async function tokenExpiry(options: StatusOptions, { client, signIn }: Connection): Promise<string | null> {
  if (options.json || options.quiet || signIn.isSession || signIn.source === "trust") return null;
  return await client.me().then(
    ({ token }) => tokenWarning(token),
    () => null,
  );
}

const BAR_WIDTH = 30;

const METHOD_COMMAND = "`secureflag-licenses organizations payment-method --open`";

/** Renders the subscription. */
export function renderStatus(subscription: Subscription, view: View): string {
  const { organization, plan, state, term, pending, reduction, unpaid } = subscription;
  const { style } = view;
  const showState = state === "active" ? style.green("active") : style.red(state.replace("_", " "));
  const beforeTax = isTaxed(subscription.taxRate) ? ", before tax" : "";
  const facts = fields(
    [
      ["Organization", style.bold(`${clean(organization.name)} (${organization.id})`)],
      ["Plan", `${clean(plan.name)}, ${moneyText(plan.unitPrice)} per license ${interval(plan)}${beforeTax}`],
      ["State", showState],
      ["Unpaid", unpaidRenewal(subscription)],
      unpaidDeadline(subscription),
      missedRenewals(subscription),
      ["Licenses", licenseText(subscription, view)],
      [
        "Pending",
        pending.purchases === 0
          ? null
          : `${licenses(pending.licenses)} in ${pending.purchases === 1 ? "1 unsettled purchase" : `${pending.purchases} unsettled purchases`}`,
      ],
      ["Idle", idleWords(subscription)],
      ["Term", `${term.start} to ${term.renewalDate}, ${term.days} days`],
      nextDate(subscription),
      ["Renews at", renewsAt(subscription)],
      ["Reduction", reduction && `to ${reducedTo(reduction, subscription.licenses.used)} on ${reduction.date}`],
      ["Time zone", clean(organization.timeZone)],
      ["Tax rate", `${decimalText(subscription.taxRate)}%`],
      ["Payment", paymentMethod(subscription.paymentMethod)],
      ["Budget", subscription.budget && budgetWords(subscription.budget)],
      ["Event log", "`secureflag-licenses events list`"],
    ],
    view,
  );
  if (unpaid === null) return facts;
  return `${facts}\n\nPay the renewal with\n${payCommand(unpaid.purchaseId)}\nor store another card first:\n${METHOD_COMMAND}`;
}

/** The counts below a bar, or after a percentage where bars are not shown. */
function licenseText({ licenses }: Subscription, { style, isPlain }: View): string {
  const { purchased, used } = licenses;
  const share = purchased > 0 ? used / purchased : 0;
  if (isPlain) return `${counts(licenses)}, ${Math.round(share * 100)}% used`;
  const { filled, empty } = bar(share, BAR_WIDTH);
  const paint = used >= purchased ? style.yellow : style.green;
  return `${paint(filled)}${style.dim(empty)}\n${counts(licenses)}`;
}

/** The renewal date, or without automatic renewal the end. */
function nextDate({ state, term, renewal }: Subscription): [label: string, value: string] {
  if (state === "ended") return ["Ended on", term.renewalDate];
  return [renewal.autoRenew ? "Renewal" : "Ends", dateAhead(term.renewalDate, term.daysRemaining)];
}

function renewsAt({ state, renewal }: Subscription): string | null {
  const { autoRenew, subtotal, tax, total } = renewal;
  if (state === "ended" || !autoRenew || renewal.licenses === null || !subtotal || !tax || !total) return null;
  return `${withTax({ total, net: subtotal, tax })} for ${licenses(renewal.licenses)}`;
}

const SOON_DAYS = 30;

const FEW_PART = 10;

const DAY_SECONDS = 86_400;

const TOKEN_DAYS = 14;

/** Lists what needs action, most urgent first; empty if nothing does. */
export function subscriptionWarnings(subscription: Subscription): string[] {
  const { reduction } = subscription;
  return [
    unpaidRenewalWarning(subscription),
    fewLeft(subscription),
    soon(subscription),
    reduction &&
      `From ${reduction.date} there will be ${reducedTo(reduction, subscription.licenses.used)}, as scheduled.`,
  ].filter((warning) => warning !== null);
}

/**
 * Warns that an API token expires soon, by the backend's own count of seconds, because this machine's clock may be wrong;
 * `null` if it does not.
 */
export function tokenWarning({ name, expiresIn }: Me["token"]): string | null {
  if (name === null || expiresIn === null || expiresIn === undefined) return null;
  // It is exchanged again by itself.
  if (name.startsWith(TRUST_PREFIX)) return null;
  if (expiresIn > TOKEN_DAYS * DAY_SECONDS) return null;
  const days = Math.floor(expiresIn / DAY_SECONDS);
  const when = days === 0 ? "within a day" : days === 1 ? "in 1 day" : `in ${days} days`;
  return `The token ${name} expires ${when}. Create a new one with \`secureflag-licenses tokens create\`.`;
}

/** Says no more than that a renewal is unpaid if the status has its ID, amount, deadline and how to pay it. */
function unpaidRenewalWarning({ state, unpaid }: Subscription): string | null {
  const isPaid = state !== "past_due" && state !== "suspended";
  if (unpaid === null && isPaid) return null;
  const effect = state === "suspended" ? "the subscription is suspended" : "no licenses can be bought until it is paid";
  const warning = `The last renewal is unpaid, and ${effect}.`;
  if (unpaid !== null) return warning;
  return (
    `${warning} See \`secureflag-licenses purchases list --kind renewal\`, ` +
    "then pay it with `secureflag-licenses purchases pay <id>`."
  );
}

function fewLeft({ state, licenses: { purchased, available } }: Subscription): string | null {
  if (state === "ended" || purchased === 0 || available > Math.max(1, Math.floor(purchased / FEW_PART))) return null;
  const left =
    available <= 0 ? "No license is" : available === 1 ? "Only 1 license is" : `Only ${available} licenses are`;
  return `${left} available, of ${purchased}. Buy more with \`secureflag-licenses buy <n>\`.`;
}

function soon({ state, term, renewal, taxRate, unpaid }: Subscription): string | null {
  // While a renewal is unpaid, no further one is made.
  if (state === "ended" || unpaid !== null || term.daysRemaining > SOON_DAYS) return null;
  const when = term.daysRemaining === 1 ? "in 1 day" : `in ${term.daysRemaining} days`;
  if (!renewal.autoRenew) return `The subscription ends ${when}, on ${term.renewalDate}, without renewal.`;
  if (renewal.licenses === null || renewal.total === null) return null;
  const price = `${moneyText(renewal.total)}${isTaxed(taxRate) ? " with tax" : ""}`;
  return `The subscription renews ${when}, on ${term.renewalDate}: ${price} for ${licenses(renewal.licenses)}.`;
}
