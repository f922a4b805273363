import { dateInZone } from "../../billing/calendar.ts";
import { toDecimalString } from "../../billing/money.ts";
import type { Purchase } from "../../contract/billing.ts";
import { clean } from "./clean.ts";
import { type Cell, toCsv } from "./csv.ts";
import { moneyText } from "./money.ts";
import { bought, buyer, statusWords } from "./purchase.ts";
import { shortId } from "./shorten.ts";
import { type Column, columns, list } from "./table.ts";
import type { Owing } from "./unpaid.ts";
import type { View } from "./view.ts";
import { instant, licenses } from "./words.ts";
import { wrap } from "./wrap.ts";

const LIST: readonly Column[] = [
  { head: "Date" },
  { head: "Licenses", align: "right" },
  { head: "Amount", align: "right" },
  { head: "Status" },
  { head: "By", cutTo: 8 },
  { head: "Id" },
];

/**
 * Purchases in the order given, each with its date, and what they come to.
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
  const isTerminal = Number.isFinite(view.width);
  const dateOf = ({ createdAt }: Purchase) => dateInZone(Date.parse(createdAt), timeZone);
  const rows = purchases.map((purchase) => [
    dateOf(purchase),
    String(purchase.licenses),
    moneyText(purchase.total),
    statusWords(purchase, view),
    buyer(purchase) ?? purchase.kind,
    // Off a terminal there is no line below for it.
    ...(isTerminal ? [shortId(clean(purchase.id))] : [clean(purchase.id), deadline(purchase, owing) ?? ""]),
  ]);
  const oneLine = list(LIST, rows, view);
  if (!isTerminal && oneLine !== null) return oneLine;
  const open = purchases.flatMap((purchase) => {
    const until = deadline(purchase, owing);
    return until === null ? [] : [wrap(`${shortId(clean(purchase.id))}: ${until}.`, view.width)];
  });
  const hint = wrap("`secureflag-licenses purchases show <id>` shows where one is paid.", view.width);
  return [
    oneLine ?? blocks(purchases, dateOf, view, owing),
    "",
    wrap(totalOf(purchases), view.width),
    ...(oneLine === null ? [] : open),
    ...(purchases.some(({ nextAction }) => nextAction !== null) ? [hint] : []),
  ].join("\n");
}

/** A list for a narrow terminal: more lines an item, wrapped and never cut. */
function blocks(
  purchases: readonly Purchase[],
  dateOf: (purchase: Purchase) => string,
  view: View,
  owing: Owing | null,
): string {
  const rows = purchases.map((purchase) => [
    dateOf(purchase),
    [`${bought(purchase)}, ${moneyText(purchase.total)}`, clean(purchase.id), ...moreOf(purchase, owing)].join("\n"),
    statusWords(purchase, view),
  ]);
  return columns(["Date", "Purchase", "Status"], rows, [10, 29, 17], view);
}

/** `Total: 8 licenses bought, 25 licenses renewed, £4,744.10 charged.` Only what succeeded counts. */
function totalOf(purchases: readonly Purchase[]): string {
  const succeeded = purchases.filter(({ status }) => status === "succeeded");
  const count = (kind: Purchase["kind"]) =>
    succeeded.reduce((sum, purchase) => sum + (purchase.kind === kind ? purchase.licenses : 0), 0);
  const [bought, renewed] = [count("purchase"), count("renewal")];
  const charged = new Map<string, number>();
  for (const { total } of succeeded) charged.set(total.currency, (charged.get(total.currency) ?? 0) + total.amount);
  const amounts = [...charged].map(([currency, amount]) =>
    // A sum that a number does not hold exactly is no amount to show.
    Number.isSafeInteger(amount) ? moneyText({ amount, currency }) : `an unknown amount in ${clean(currency)}`,
  );
  const parts = [
    ...(bought > 0 || renewed === 0 ? [`${licenses(bought)} bought`] : []),
    ...(renewed > 0 ? [`${licenses(renewed)} renewed`] : []),
    `${amounts.length === 0 ? "nothing" : amounts.join(" and ")} charged`,
  ];
  return `Total: ${parts.join(", ")}.`;
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
