import type { Command } from "commander";
import { isCalendarDate } from "../../billing/calendarDate.ts";
import type { Client, ClockAnswer, ClockRequest, SandboxState } from "../../client/client.ts";
import { isMissing } from "../../client/missing.ts";
import { MAX_CLOCK_DAYS, MAX_CLOCK_YEARS } from "../../contract/constants.ts";
import { createTargetClient } from "../connection/client.ts";
import { resolveTarget, type Target } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf, usageError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, printResult, type View } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { columns } from "../kit/table.ts";
import { clean } from "../kit/text.ts";
import { instantOrDate, wholeNumber } from "../kit/values.ts";
import { instant, moneyText } from "../kit/words.ts";

/** Options of `sandbox clock advance`. `renewal` goes to the renewal date of the organization that is set. */
export interface AdvanceOptions extends GlobalOptions {
  readonly to: Exclude<ClockRequest, { toRenewalOf: number }> | "renewal";
}

/** Registers `sandbox clock advance`. */
export function registerAdvance(clock: Command, context: Context, run: Run<AdvanceOptions>): void {
  addCommand(clock, {
    name: "advance",
    description: "Move the clock forward",
    examples: ["sandbox clock advance --by 30", "sandbox clock advance --to 2027-03-01"],
  })
    .option("--to <date>", `move to a date or an instant, at most ${MAX_CLOCK_YEARS} years ahead`, dateOrInstantText)
    .option("--by <n days>", `move by a number of days, at most ${MAX_CLOCK_YEARS} years`, days)
    .option("--to-renewal", "move to the organization's next renewal date")
    .action((flags: { to?: string; by?: number; toRenewal?: boolean }, command: Command) => {
      const options = { ...readGlobals(command), to: destination(flags) };
      return interruptible(context, () => run(options, context));
    });
}

function destination(flags: { to?: string; by?: number; toRenewal?: boolean }): AdvanceOptions["to"] {
  const given = [flags.to, flags.by, flags.toRenewal].filter((flag) => flag !== undefined);
  if (given.length !== 1) {
    throw usageError(
      "The new time of the clock is ambiguous or missing",
      "Pass exactly one of --to, --by or --to-renewal.",
    );
  }
  if (flags.to !== undefined) return { to: flags.to };
  return flags.by === undefined ? "renewal" : { days: flags.by };
}

/** Checks a date or instant, and converts an instant to UTC. A date is left to the sandbox's time zone. */
function dateOrInstantText(text: string): string {
  const instant = instantOrDate(text);
  return isCalendarDate(text) ? text : new Date(instant).toISOString();
}

function days(text: string): number {
  return wholeNumber(1, MAX_CLOCK_DAYS)(text.replace(/\s*(d|days?)$/, ""));
}

/** Prints the sandbox's clock and what its payment provider charged. Needs no sign-in. */
export async function runShow(options: GlobalOptions, context: Context): Promise<void> {
  const { client } = await sandboxAt(options, context);
  const reading = asSandbox(client.sandboxState(), client);
  const state = await withSpinner(context, options, "Reading the clock", reading);
  await printResult<"sandbox clock show">(context, options, state, (view) => renderClock(state, view));
}

/**
 * Moves the sandbox's clock forward and prints the new time.
 *
 * @throws CliError `not_a_sandbox`, `organization_required`; ClientError `clock_moves_forward_only`, `not_found` for an
 *   unknown organization, `outcome_unknown`
 */
export async function runAdvance(options: AdvanceOptions, context: Context): Promise<void> {
  const { client, target } = await sandboxAt(options, context);
  const request =
    options.to === "renewal" ? { toRenewalOf: await renewingOrganization(options, context, target) } : options.to;
  const answer = await withSpinner(context, options, "Moving the clock", move(request, client));
  const printing = printResult<"sandbox clock advance">(context, options, answer, (view) => renderMoved(answer, view));
  const hint = "See `secureflag-licenses sandbox clock show` before you move it again.";
  await awaitPrinting(printing, "The clock was moved", hint);
}

async function move(request: ClockRequest, client: Client): Promise<ClockAnswer> {
  try {
    return await client.advanceClock(request);
  } catch (error) {
    // A 404 of a sandbox is about the organization, that of any other backend about the clock.
    if (isMissing(error)) await asSandbox(client.sandboxState(), client);
    throw error;
  }
}

/** Connects to the sandbox. Sends nothing to other machines (src/backend/README.md, Sandbox). */
async function sandboxAt(options: GlobalOptions, context: Context): Promise<{ client: Client; target: Target }> {
  const target = await resolveTarget(context, options);
  const client = await createTargetClient(context, options, target.apiUrl, null);
  if (!client.isLoopback) {
    throw new CliError("not_a_sandbox", `${client.origin} is not a sandbox on this machine; nothing was sent`, {
      hint: "Set SECUREFLAG_API_URL to the URL that `secureflag-licenses sandbox` printed.",
    });
  }
  return { client, target };
}

async function asSandbox<Answer>(asking: Promise<Answer>, { origin }: Client): Promise<Answer> {
  try {
    return await asking;
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new CliError("not_a_sandbox", `${origin} is a backend, but not a sandbox`, {
      hint: "Set SECUREFLAG_API_URL to the URL that `secureflag-licenses sandbox` printed.",
      cause: error,
    });
  }
}

async function renewingOrganization(options: GlobalOptions, context: Context, target: Target): Promise<number> {
  if (target.organizationId !== null) return target.organizationId;
  try {
    // Imported here: a sandbox starts without it.
    const { connect } = await import("../connection/connect.ts");
    return await (await connect(context, options, "billing")).organizationId();
  } catch (cause) {
    if (codeOf(cause) !== "not_signed_in") throw cause;
    throw new CliError("organization_required", "The organization is required", {
      hint: "Pass --org <id> or set SECUREFLAG_ORGANIZATION.",
      cause,
    });
  }
}

/** Renders the clock and the captured payments. */
export function renderClock({ now, captures, next }: SandboxState, view: View): string {
  if (captures.length === 0) return `${instant(now)}\nNothing has been charged.`;
  const rows = captures.map(({ purchaseId, amount, currency, refunded }) => [
    clean(purchaseId),
    moneyText({ amount, currency }) + (refunded > 0 ? `, refunded ${moneyText({ amount: refunded, currency })}` : ""),
  ]);
  const more = next === null ? "" : `\nOnly the oldest ${captures.length} charges are listed.`;
  return `${instant(now)}\n${columns(["Purchase", "Charged"], rows, [29, 29], view)}${more}`;
}

/** Renders the new time and the renewals on the way, newest first. */
export async function renderMoved(
  { now, renewals, renewalCount = renewals.length }: ClockAnswer,
  view: View,
): Promise<string> {
  const moved = `The clock is at ${instant(now)}.`;
  if (renewalCount === 0) return moved;
  const left = renewalCount - renewals.length;
  const newest = left > 0 ? `; the newest ${renewals.length}` : "";
  const what = `${renewalCount} ${renewalCount === 1 ? "renewal" : "renewals"} fell due on the way${newest}, dates in UTC:`;
  const { renderPurchases } = await import("../purchases/list.ts");
  return `${moved}\n\n${what}\n${renderPurchases(renewals.toReversed(), "UTC", view)}`;
}
