import { dateInZone } from "../../billing/calendar.ts";
import { toDecimalString } from "../../billing/money.ts";
import type { Purchase } from "../../contract/billing.ts";
import { clean } from "./clean.ts";
import { type Cell, toCsv } from "./csv.ts";
import { moneyText } from "./money.ts";
import { bought, buyer, statusWords } from "./purchase.ts";
import { columns } from "./table.ts";
import type { Owing } from "./unpaid.ts";
import type { View } from "./view.ts";
import { instant } from "./words.ts";
import { wrap } from "./wrap.ts";

/**
 * Purchases in the order given, each with its date.
 *
 * @param timeZone whose dates they are: the organization's, as everywhere in billing
 * @param owing the subscription, of which one may be the unpaid renewal
 */
export function renderPurchases(
  purchases: readonly Purchase[],
  timeZone: string,
  view: View,
  owing: Owing | null = null,
): string {
  if (purchases.length === 0) return "No purchases.";
  const rows = purchases.map((purchase) => [
    dateInZone(Date.parse(purchase.createdAt), timeZone),
    [`${bought(purchase)}, ${moneyText(purchase.total)}`, clean(purchase.id), ...moreOf(purchase, owing)].join("\n"),
    statusWords(purchase, view),
  ]);
  const table = columns(["Date", "Purchase", "Status"], rows, [10, 29, 17], view);
  if (purchases.every(({ nextAction }) => nextAction === null)) return table;
  return `${table}\n\n${wrap("`secureflag-licenses purchases show <id>` shows where one is paid.", view.width)}`;
}

function moreOf(purchase: Purchase, owing: Owing | null): string[] {
  const by = buyer(purchase);
  return [by && `by ${by}`, deadline(purchase, owing)].filter((line) => line !== null);
}

function deadline({ id, kind, nextAction }: Purchase, owing: Owing | null): string | null {
  if (nextAction === null) return null;
  if (kind === "purchase") return `pay by ${instant(nextAction.expiresAt)}`;
  if (owing?.unpaid?.purchaseId !== id) return null;
  return `${owing.state === "suspended" ? "suspended since" : "pay before"} ${owing.unpaid.deadline}`;
}

const COLUMNS: readonly (readonly [head: string, cell: (purchase: Purchase) => Cell])[] = [
  ["id", ({ id }) => id],
  ["kind", ({ kind }) => kind],
  ["status", ({ status }) => status],
  ["licenses", ({ licenses }) => licenses],
  ["currency", ({ total }) => total.currency],
  ["dueNow", ({ dueNow }) => toDecimalString(dueNow)],
  ["tax", ({ tax }) => toDecimalString(tax)],
  ["total", ({ total }) => toDecimalString(total)],
  ["refund", ({ refund }) => (refund ? toDecimalString(refund.amount) : null)],
  ["createdAt", ({ createdAt }) => createdAt],
  ["completedAt", ({ completedAt }) => completedAt],
  ["purchasedBy", ({ purchasedBy }) => purchasedBy?.email ?? null],
  ["token", ({ purchasedBy }) => purchasedBy?.token ?? null],
  ["receiptNumber", ({ receiptNumber }) => receiptNumber],
  ["creditNoteNumber", ({ refund }) => refund?.creditNoteNumber ?? null],
  ["purchaseOrder", ({ purchaseOrder }) => purchaseOrder],
  ["note", ({ note }) => note],
  ["failure", ({ failure }) => failure?.code ?? null],
  ["idempotencyKey", ({ idempotencyKey }) => idempotencyKey],
];

/** Purchases as CSV: a row each, the amounts as decimal numbers in major units of the currency beside them. */
export function purchasesCsv(purchases: readonly Purchase[]): string {
  return toCsv(
    COLUMNS.map(([head]) => head),
    purchases.map((purchase) => COLUMNS.map(([, cell]) => cell(purchase))),
  );
}
