import type { CalendarDate } from "../../billing/calendar.ts";
import { formatMoney } from "../../billing/money.ts";
import type { Receipt } from "../../contract/billing.ts";
import type { Mode } from "../../contract/mode.ts";

/** The labels of a purchase, the same on its pages and its receipt. */
export const LABELS = {
  organization: "Organization",
  buyer: "Bought by",
  licenses: "Licenses",
  term: "Term",
  purchaseOrder: "PO number",
  note: "Note",
  subtotal: "Subtotal",
  tax: (rate: string) => `Tax (${rate}%)`,
  total: "Total",
} as const;

/** How dates are written. */
export interface DateWords {
  date(date: CalendarDate): string;
  /** @param instant milliseconds since the epoch */
  instant(instant: number): string;
}

/** `2026-11-22` and `2026-11-22 12:00 UTC`, for a reader whose language is unknown. */
export const ISO_DATES: DateWords = {
  date: (date) => date,
  instant: (instant) => `${new Date(instant).toISOString().slice(0, 16).replace("T", " ")} UTC`,
};

/** A label and its value. */
export type Field = readonly [label: string, value: string];

/** A row of the table: a charge, how it was calculated, and its amount. */
interface ChargeLine {
  readonly text: string;
  readonly details: readonly string[];
  readonly amount: string;
}

/** The text of a receipt on a page for a browser, in reading order. */
export interface ReceiptContent {
  readonly title: string;
  readonly fields: readonly Field[];
  readonly charges: readonly ChargeLine[];
  readonly total: string;
  /** Fields that may be long, or that were added after the receipt was issued. */
  readonly remarks: readonly Field[];
}

/** Puts a receipt into words. Amounts are the receipt's own: nothing is calculated here. */
export function receiptContent(receipt: Receipt, dates: DateWords = ISO_DATES): ReceiptContent {
  const { total, refund, note } = receipt;
  return {
    title: `Receipt ${receipt.receiptNumber}`,
    fields: fieldsOf(receipt, dates),
    charges: chargesOf(receipt, dates),
    total: formatMoney(total),
    remarks: present([[LABELS.note, note], ...refundFields(refund, dates)]),
  };
}

/** Returns what every page and receipt begins with where no money moves; `null` where it does. */
export function bannerOf(mode: Mode): string | null {
  return mode === "live" ? null : `${mode.toUpperCase()}: no money moves`;
}

function refundFields(refund: Receipt["refund"], dates: DateWords): Field[] {
  if (!refund) return [];
  const { refundedAt, amount, creditNoteNumber: number } = refund;
  return [
    ["Refunded", `${formatMoney(amount)} on ${dates.instant(Date.parse(refundedAt))}`],
    ["Credit note", number],
  ];
}

function fieldsOf(receipt: Receipt, dates: DateWords): Field[] {
  const { organization, purchasedBy, term, kind } = receipt;
  return present([
    [LABELS.organization, `${organization.name} (${organization.id})`],
    ["Issued", dates.instant(Date.parse(receipt.issuedAt))],
    [LABELS.buyer, purchasedBy && buyerText(purchasedBy)],
    [kind === "purchase" ? "Bought on" : "Renewed on", dates.date(receipt.purchaseDate)],
    ["Plan", receipt.plan],
    [LABELS.licenses, licensesOf(receipt)],
    [LABELS.term, termText(term, dates)],
    [LABELS.purchaseOrder, receipt.purchaseOrder],
    ["Paid with", receipt.paymentMethod?.label ?? null],
    [kind === "purchase" ? "Purchase" : "Renewal", receipt.purchaseId],
  ]);
}

/** Returns the fields that have a value. */
export function present(fields: readonly (readonly [string, string | null])[]): Field[] {
  return fields.flatMap(([label, value]) => (value === null ? [] : [[label, value] as const]));
}

/** Shows how the amounts came about (src/billing/README.md, Proration). */
function chargesOf(receipt: Receipt, dates: DateWords): ChargeLine[] {
  const { licenses, unitPrice, term, purchaseDate, dueNow, taxRate, tax } = receipt;
  return [
    {
      text: LABELS.subtotal,
      details: [
        `${countOf(licenses)} × ${formatMoney(unitPrice)} × ${term.daysRemaining} / ${term.days} days`,
        `${dates.date(purchaseDate)} to ${dates.date(term.renewalDate)}, end\u00a0date\u00a0excluded`,
      ],
      amount: formatMoney(dueNow),
    },
    { text: LABELS.tax(taxRate), details: [`${taxRate}% of ${formatMoney(dueNow)}`], amount: formatMoney(tax) },
  ];
}

/** A payment may have been captured for licenses that could no longer be added. */
export function licensesOf({ kind, status, licenses, licensesAfter }: Receipt): string {
  if (status !== undefined && status !== "succeeded") return `none added (${licensesAfter})`;
  return licensesText({ kind, licenses, licensesBefore: licensesAfter - licenses });
}

/** Returns what changes and the result: a number alone could be either. A renewal adds no licenses. */
export function licensesText(change: {
  readonly kind: Receipt["kind"];
  readonly licenses: number;
  readonly licensesBefore: number | null;
}): string {
  const { kind, licenses, licensesBefore: before } = change;
  if (kind === "renewal") return `${licenses}, renewed`;
  return before === null ? `${licenses} more` : `${licenses} more (${before} → ${before + licenses})`;
}

/** `admin@northwind.example, token ci`. */
export function buyerText({ email, token }: NonNullable<Receipt["purchasedBy"]>): string {
  return token === null ? email : `${email}, token ${token}`;
}

/** `2026-03-01 to 2027-03-01, 99 of 365 days`, the end excluded. */
export function termText(
  { start, renewalDate, daysRemaining, days: total }: Receipt["term"],
  dates: DateWords,
): string {
  const days = `${daysRemaining} of ${total} days`.replaceAll(" ", "\u00a0");
  return `${dates.date(start)} to ${dates.date(renewalDate)}, ${days}`;
}

/** Returns a count with its word: `1 license`, `5 licenses`. */
export function countOf(licenses: number): string {
  return `${licenses} ${licenses === 1 ? "license" : "licenses"}`;
}

/** Formats a receipt number, which has no gaps per organization: `4201-000001`. */
export function receiptNumber(organizationId: number, number: number): string {
  return `${organizationId}-${String(number).padStart(6, "0")}`;
}

/** Formats a credit note number, a series of its own: `CN-4201-000001`. */
export function creditNoteNumber(organizationId: number, number: number): string {
  return `CN-${receiptNumber(organizationId, number)}`;
}
