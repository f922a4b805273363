import type { Money } from "../../billing/money.ts";
import { addsUp } from "../../contract/basics.ts";
import type { Purchase } from "../../contract/billing.ts";
import { CliError } from "../errors.ts";
import { moneyText } from "../render/money.ts";
import { shorten } from "../render/shorten.ts";

/** What was approved of a purchase, by an offer, a journal entry, or the purchase as it was shown before it was paid. */
export interface Approved {
  readonly licenses?: number;
  readonly dueNow?: Money;
  readonly tax?: Money;
  readonly total?: Money;
  readonly purchaseOrder?: string | null;
  readonly note?: string | null;
  /** A purchase unless it says otherwise. */
  readonly kind?: Purchase["kind"];
  /** The most that it may cost, where no amount was approved. */
  readonly limit?: Money | null;
}

/** What is approved by paying a purchase as it is. */
export function approvedAsShown({ kind, licenses, dueNow, tax, total, purchaseOrder, note }: Purchase): Approved {
  return { kind, licenses, dueNow, tax, total, purchaseOrder, note };
}

/**
 * Compares what came back with what was approved: the one place that decides whether the amount confirmed is the amount
 * charged, to the minor unit. What `approved` leaves out is not compared.
 *
 * @returns the failure to end with after the purchase was printed, `null` where they agree
 */
export function differenceFrom(approved: Approved, purchase: Purchase): CliError | null {
  const { limit, kind = "purchase", ...fields } = approved;
  const differences = Object.entries({ kind, ...fields }).flatMap(([name, wanted]) => {
    const reported = purchase[name as keyof typeof fields];
    return isSame(reported, wanted) ? [] : [`${LABELS[name]} ${show(reported)}, approved ${show(wanted)}`];
  });
  if (limit && !isWithin(purchase.total, limit)) {
    differences.push(`total ${show(purchase.total)}, approved at most ${show(limit)}`);
  }
  if (differences.length === 0 && !addsUp(purchase))
    differences.push(`total ${show(purchase.total)}, not the sum of net amount and tax`);
  if (differences.length === 0) return null;
  const message = `Purchase ${shorten(purchase.id)} is not what was approved: ${differences.join("; ")}`;
  const hint = "Do not buy again. Report it to the operator of the backend.";
  return new CliError("charged_other_amount", message, { hint });
}

type Field = string | number | Money | null | undefined;

const LABELS: Readonly<Record<string, string>> = {
  kind: "kind",
  licenses: "licenses",
  dueNow: "net amount",
  tax: "tax",
  total: "total",
  purchaseOrder: "PO number",
  note: "note",
};

function isSame(one: Field, other: Field): boolean {
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return one === other;
  return one.amount === other.amount && one.currency === other.currency;
}

function isWithin({ amount, currency }: Money, limit: Money): boolean {
  return currency === limit.currency && amount <= limit.amount;
}

function show(value: Field): string {
  if (value === null || value === undefined) return "none";
  if (typeof value === "number") return String(value);
  return typeof value === "string" ? `"${shorten(value)}"` : moneyText(value);
}
