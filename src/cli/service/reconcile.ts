import { type Command, Option } from "commander";
import type { ReconciledService } from "../../backend/service/reconcileService.ts";
import { isCalendarDate } from "../../billing/calendarDate.ts";
import { money } from "../../billing/money.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult, type View } from "../kit/output.ts";
import { columns } from "../kit/table.ts";
import { instantOrDate } from "../kit/values.ts";
import { instant, moneyText } from "../kit/words.ts";
import type { Output } from "../outputs.ts";
import { addDatabaseFlags, addPaymentFlags, addStripeRateFlag, givenSettings } from "./settings.ts";
import { commandDeps, type StoreOptions } from "./store.ts";

/** Options of `serve reconcile`. */
export interface ReconcileOptions extends StoreOptions {
  /** Milliseconds since the epoch. */
  readonly from: number;
}

/** Registers `serve reconcile`. */
export function registerReconcile(serve: Command, context: Context, run: Run<ReconcileOptions> = runReconcile): void {
  const command = addCommand(serve, {
    name: "reconcile",
    description: "Compare the provider's payments with the purchases and the ledger",
    examples: [
      "serve reconcile --from 2026-11-22",
      "serve reconcile --from 2026-11-22T10:00:00Z --payments sandbox --test-mode --json",
    ],
  });
  const from = new Option("--from <time>", "compare payments and refunds since this instant or UTC date");
  addStripeRateFlag(
    addPaymentFlags(addDatabaseFlags(command.addOption(from.argParser(startOf).makeOptionMandatory()))),
  ).action((flags: { from: number }, called: Command) => {
    const options = { ...readGlobals(called), settings: givenSettings(called, context), from: flags.from };
    return interruptible(context, () => run(options, context));
  });
}

/** Parses an instant, or a date, which stands for its start in UTC. */
function startOf(text: string): number {
  return isCalendarDate(text) ? Date.parse(`${text}T00:00:00Z`) : instantOrDate(text);
}

/**
 * Compares the provider's payments with the purchases and the ledger, and prints the differences.
 *
 * @throws CliError `reconciliation_differs` if differences remain; BackendError `settings_invalid`, `unavailable`,
 *   `schema_mismatch`, `database_unreachable`
 */
async function runReconcile(options: ReconcileOptions, context: Context): Promise<void> {
  const [{ readPaymentSettings }, { reconcileService }] = await Promise.all([
    import("../../backend/service/settings.ts"),
    import("../../backend/service/reconcileService.ts"),
  ]);
  const settings = await readPaymentSettings(options.settings);
  const reconciled = await reconcileService(settings, options.from, commandDeps(options, context));
  const { findings } = reconciled;
  const result = resultOf(reconciled);
  await printResult<"serve reconcile">(context, options, result, (view) => renderReconciliation(result, view));
  if (findings.length > 0) throw reconciliationDiffers(findings.length);
}

/** Returns the error for differences that only an operator can settle. */
export function reconciliationDiffers(count: number): CliError {
  const differences = count === 1 ? "1 difference remains" : `${count} differences remain`;
  return new CliError("reconciliation_differs", `${differences} between the provider and the ledger`, {
    hint: "See `secureflag-licenses serve admin list-review`.",
  });
}

function resultOf({ findings, differences, hold, ...reconciled }: ReconciledService): Output<"serve reconcile"> {
  const count = (kind: keyof Output<"serve reconcile">["findings"]) =>
    findings.filter(({ finding }) => finding === kind).length;
  return {
    from: new Date(reconciled.from).toISOString(),
    until: new Date(reconciled.until).toISOString(),
    payments: reconciled.payments,
    advanced: reconciled.advanced,
    findings: {
      unknownPurchase: count("unknownPurchase"),
      notBooked: count("notBooked"),
      amountDiffers: count("amountDiffers"),
      notCaptured: count("notCaptured"),
      refundNotBooked: count("refundNotBooked"),
      refundNotMade: count("refundNotMade"),
    },
    differences: [...differences].map(([currency, amount]) => money(amount, currency)),
    hold,
    heldSince: reconciled.heldSince === null ? null : new Date(reconciled.heldSince).toISOString(),
  };
}

/** The labels of the differences. */
export const FINDING_WORDS = {
  unknownPurchase: "captured, purchase unknown",
  notBooked: "captured, not booked",
  amountDiffers: "amount differs",
  notCaptured: "booked, not captured",
  refundNotBooked: "refunded, not booked",
  refundNotMade: "booked as refunded, not refunded",
} as const;

/** Renders the counts, the differences and the state of the hold. */
function renderReconciliation(result: Output<"serve reconcile">, view: View): string {
  const { payments, advanced, differences, from } = result;
  const found = Object.entries(FINDING_WORDS)
    .map(([kind, words]) => [words, String(result.findings[kind as keyof typeof FINDING_WORDS])])
    .filter(([, count]) => count !== "0");
  const compared = `Compared ${payments} ${payments === 1 ? "payment" : "payments"} since ${instant(from)}.`;
  const settled = `Settled ${advanced} paid ${advanced === 1 ? "purchase" : "purchases"}.`;
  return [
    compared,
    ...(advanced > 0 ? [settled] : []),
    found.length === 0 ? "No differences." : columns(["Difference", "Payments"], found, [34, 8], view),
    ...(differences.length === 0 ? [] : [`Unreconciled: ${differences.map((amount) => moneyText(amount)).join(", ")}`]),
    ...holdLines(result),
  ].join("\n");
}

function holdLines({ hold, heldSince, from }: Output<"serve reconcile">): string[] {
  if (hold === "none") return [];
  if (hold === "released") return ["Buying is no longer on hold."];
  const isTooLate = heldSince !== null && from > heldSince;
  return [`Buying stays on hold.${isTooLate ? ` Run again with --from ${heldSince} or earlier.` : ""}`];
}
