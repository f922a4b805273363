import { Argument, type Command, InvalidArgumentError } from "commander";
import { BillingError } from "../../billing/errors.ts";
import { type Money, parseMoney } from "../../billing/money.ts";
import type { Budget } from "../../billing/policy.ts";
import { ClientError } from "../../client/errors.ts";
import { isMissing } from "../../client/missing.ts";
import type { PendingChange, PolicyRequest, PolicyState } from "../../contract/policy.ts";
import { connectToOrganization } from "../connection/connect.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, readGlobals } from "../kit/command.ts";
import { refuseUnknown } from "../kit/foreground.ts";
import { awaitPrinting, note, printResult, type View, viewOf } from "../kit/output.ts";
import { confirmOrCancel, promptsAllowed } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { clean } from "../kit/text.ts";
import { amountText, trimmedText } from "../kit/values.ts";
import { waitsFor } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import { plannedPolicy } from "./policyPlan.ts";
import { changeLine, renderPolicy } from "./policyView.ts";

/** A budget as typed: an amount in major units, and its period. */
interface TypedBudget {
  readonly amount: string;
  readonly period: Budget["period"];
}

/** Options of `organizations policy set`. What is `undefined` stays; `null` removes it. */
interface SetPolicyOptions extends GlobalOptions {
  /** In major units of the subscription's currency, `500` or `500.00`. */
  readonly approvalAbove: string | null | undefined;
  readonly budget: TypedBudget | null | undefined;
  readonly totp: string | null;
  readonly dryRun: boolean;
}

/** Options of `organizations policy approve` and `organizations policy reject`. */
interface DecisionOptions extends GlobalOptions {
  /** `null` for the only change that waits. */
  readonly changeId: string | null;
  readonly yes: boolean;
  readonly totp: string | null;
  readonly dryRun: boolean;
}

interface SetFlags {
  readonly yes?: boolean;
  readonly approvalAbove?: string;
  readonly budget?: TypedBudget | typeof NONE;
  readonly totp?: string;
  readonly dryRun?: boolean;
}

/** Registers `organizations policy`, and `policy set | approve | reject`. */
export function registerPolicy(group: Command, context: Context): void {
  const policy = addCommand(group, {
    name: "policy",
    description: "Show or set who may spend what, and approve changes",
    examples: ["organizations policy", "organizations policy set --budget 2000/month"],
  });
  addCommand(policy, {
    name: "set",
    description: "Set the approval threshold and the budget",
    examples: ["organizations policy set --approval-above 500", "organizations policy set --budget 20000/year"],
  })
    .option("--approval-above <amount>", "total above which purchases need approval, or none", orNone(amountText))
    .option("--budget <amount>", "with tax, for example 500/month, 6000/year, or none", orNone(budgetText))
    .option("--dry-run", "show what would be set, set nothing")
    .addOption(totpOption())
    .addHelpText("after", SET_HELP)
    .action(({ approvalAbove, budget, totp, dryRun = false }: SetFlags, command: Command) => {
      const options = {
        ...readGlobals(command),
        approvalAbove: approvalAbove === NONE ? null : approvalAbove,
        budget: budget === NONE ? null : budget,
        totp: readTotp(totp),
        dryRun,
      };
      return interruptible(context, () => setPolicy(options, context));
    });
  const approve = addCommand(policy, {
    name: "approve",
    description: "Approve a change that another administrator requested",
    examples: ["organizations policy approve", "organizations policy approve chg_17"],
  });
  addDecision(approve, context, approveChange);
  const reject = addCommand(policy, {
    name: "reject",
    description: "Reject a change that is waiting, or withdraw your own",
    examples: ["organizations policy reject", "organizations policy reject chg_17"],
  });
  addDecision(reject, context, rejectChange);
  // Last, because subcommands would inherit that excess arguments are allowed.
  policy.allowExcessArguments().action((_flags: unknown, command: Command) => {
    if (command.args.length > 0) refuseUnknown(command);
    return interruptible(context, () => showPolicy(readGlobals(command), context));
  });
}

function addDecision(
  command: Command,
  context: Context,
  run: (options: DecisionOptions, context: Context) => Promise<void>,
): void {
  command
    .addArgument(new Argument("[id]", "ID of the change; omit it if only one is waiting").argParser(trimmedText))
    .option("--yes", `${command.name()} without a prompt`)
    .option("--dry-run", "show the change, decide nothing")
    .addOption(totpOption())
    .action((id: string | undefined, { yes = false, totp, dryRun = false }: SetFlags, command: Command) => {
      const options = { ...readGlobals(command), changeId: id ?? null, yes, totp: readTotp(totp), dryRun };
      return interruptible(context, () => run(options, context));
    });
}

const SET_HELP = `
What tightens the policy applies at once. What loosens it
waits for another administrator, or for 24 hours if there is
only one; setting the policy again replaces what waits.
While a policy is set, changes of administrators wait, too.
Only a signed-in administrator with an authenticator app can
set it.`;

/** Commander takes `null` for a flag without a value. */
const NONE = "none";

function orNone<Value>(parse: (text: string) => Value): (text: string) => Value | typeof NONE {
  return (text) => (text === NONE ? NONE : parse(text));
}

function budgetText(text: string): TypedBudget {
  const [, amount, period] = /^(.+)\/(month|year)$/.exec(text) ?? [];
  if (amount !== undefined && (period === "month" || period === "year")) return { amount: amountText(amount), period };
  throw new InvalidArgumentError("It must be an amount such as 500/month or 6000/year, or none.");
}

/** Prints the policy and the changes that wait. */
async function showPolicy(options: GlobalOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const reading = client.policy(organizationId).catch(explain);
  const policy = await withSpinner(context, options, "Reading the policy", reading);
  await printResult<"organizations policy">(context, options, policy, (view) => renderPolicy(policy, view));
}

/**
 * Sets what is passed of the policy, and prints it. What loosens it waits, which is no failure.
 *
 * @throws CliError `invalid_usage` without a setting; `forbidden` with an API token, `mfa_not_enrolled`,
 *   `needs_two_administrators`
 */
async function setPolicy(options: SetPolicyOptions, context: Context): Promise<void> {
  if (options.approvalAbove === undefined && options.budget === undefined) {
    throw usageError("Nothing to set", "Pass --approval-above or --budget.");
  }
  const { client, organizationId, connection } = await connectToOrganization(context, options, "billing");
  const { plan } = await client.subscription(organizationId);
  const { currency } = plan.unitPrice;
  const request = requestOf(options, currency);
  const { dryRun } = options;
  if (dryRun && !connection.signIn.isSession) {
    throw new CliError("forbidden", "API tokens cannot change the policy", { hint: SIGN_IN_HINT });
  }
  const asking = dryRun ? client.policy(organizationId) : client.setPolicy(organizationId, request);
  const answer = await withSpinner(context, options, "Setting the policy", asking.catch(explain));
  const result = { ...(dryRun ? plannedPolicy(answer, request, currency) : answer), dryRun };
  const printing = printResult<"organizations policy set">(context, options, result, (view) =>
    dryRun ? `Dry run: nothing was set.\n\n${renderPolicy(result, view)}` : renderPolicy(result, view),
  );
  await (dryRun ? printing : awaitPrinting(printing, "The policy was set", POLICY_HINT));
  const waiting = dryRun ? undefined : answer.pending.find(({ kind }) => kind === "policy");
  if (waiting) note(context, options, waitsFor(waiting));
}

/** @throws CliError `invalid_usage` for an amount with too many decimals */
function requestOf({ approvalAbove, budget }: SetPolicyOptions, currency: string): PolicyRequest {
  const amountOf = (text: string, flag: string): Money => {
    try {
      return parseMoney(text, currency);
    } catch (error) {
      if (error instanceof BillingError) throw usageError(`${flag}: ${error.message}`, "Nothing was set.");
      throw error;
    }
  };
  return {
    ...(approvalAbove !== undefined && {
      approvalAbove: approvalAbove === null ? null : amountOf(approvalAbove, "--approval-above"),
    }),
    ...(budget !== undefined && {
      budget: budget && { amount: amountOf(budget.amount, "--budget"), period: budget.period },
    }),
  };
}

/**
 * Approves a change that waits, and prints it with the policy after it.
 *
 * @throws CliError `invalid_usage` if several wait and none is named; `not_found`; `forbidden` for one's own
 */
async function approveChange(options: DecisionOptions, context: Context): Promise<void> {
  const { change, after } = await decide(options, context, "approve");
  const { dryRun } = options;
  const words = `${dryRun ? "Dry run: would approve" : "Approved"} ${changeLine(change)}.`;
  const result = { approved: change, ...after, dryRun };
  const printing = printResult<"organizations policy approve">(context, options, result, decided(words, after));
  await (dryRun ? printing : awaitPrinting(printing, `The change ${clean(change.id)} was approved`, POLICY_HINT));
}

/**
 * Rejects a change that waits, and prints it with the policy.
 *
 * @throws as `approveChange`, but one's own changes may be rejected
 */
async function rejectChange(options: DecisionOptions, context: Context): Promise<void> {
  const { change, after } = await decide(options, context, "reject");
  const { dryRun } = options;
  const words = `${dryRun ? "Dry run: would reject" : "Rejected"} ${changeLine(change)}.`;
  const result = { rejected: change, ...after, dryRun };
  const printing = printResult<"organizations policy reject">(context, options, result, decided(words, after));
  await (dryRun ? printing : awaitPrinting(printing, `The change ${clean(change.id)} was rejected`, POLICY_HINT));
}

function decided(words: string, after: PolicyState) {
  return (view: View) => `${wrap(words, view.width)}\n\n${renderPolicy(after, view)}`;
}

/** Decides on a change. In a terminal it is shown first, because another one may wait than was seen before. */
async function decide(
  options: DecisionOptions,
  context: Context,
  verb: "approve" | "reject",
): Promise<{ change: PendingChange; after: PolicyState }> {
  const { client, organizationId, connection } = await connectToOrganization(context, options, "billing");
  const reading = client.policy(organizationId).catch(explain);
  const before = await withSpinner(context, options, "Reading the policy", reading);
  const change = chosen(before.pending, options.changeId);
  if (options.dryRun) return { change, after: before };
  if (!options.yes && promptsAllowed(context, options)) {
    const { width } = await viewOf(context, options, "stderr");
    context.io.note(`${wrap(`${changeLine(change)}.`, width)}\n`);
    await confirmOrCancel(context, options, `${verb === "approve" ? "Approve" : "Reject"} this change?`);
  }
  const sending = verb === "approve" ? client.approvePolicyChange : client.rejectPolicyChange;
  const refusal = verb === "approve" && connection.signIn.isSession ? explainRefusal : explain;
  const deciding = sending(organizationId, change.id).catch(refusal);
  const text = verb === "approve" ? "Approving the change" : "Rejecting the change";
  return { change, after: await withSpinner(context, options, text, deciding) };
}

const POLICY_HINT = "See `secureflag-licenses organizations policy`.";

/** @throws CliError `invalid_usage`, `not_found` */
function chosen(pending: readonly PendingChange[], id: string | null): PendingChange {
  const [first, second] = id === null ? pending : pending.filter((change) => change.id === id);
  if (first && !second) return first;
  if (first) {
    const list = pending.map((change) => changeLine(change)).join("; ");
    throw usageError(`Several changes are waiting: ${list}`, "Pass the ID of one of them.");
  }
  const message = id === null ? "No change is waiting for approval" : `Change not found: ${clean(id)}`;
  throw new CliError("not_found", message, { hint: POLICY_HINT });
}

const SIGN_IN_HINT = "Unset SECUREFLAG_API_TOKEN and sign in as an administrator with `secureflag-licenses login`.";

function explain(error: unknown): never {
  if (!(error instanceof ClientError) || !isMissing(error) || error.code === "not_found") throw error;
  throw new CliError("billing_not_offered", "This backend does not keep policies", {
    hint: "Ask its operator to update it.",
    requestId: error.requestId,
    cause: error,
  });
}

/** Says who can approve it instead of the person who is signed in. */
function explainRefusal(error: unknown): never {
  if (!(error instanceof ClientError) || error.code !== "forbidden") return explain(error);
  const { code, message, requestId } = error;
  const hint = "An administrator who was one before the change was requested, and did not request it, can approve it.";
  throw new CliError(code, message, { hint, requestId, cause: error });
}
