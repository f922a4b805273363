import { type Command, Option } from "commander";
import { dateInZone } from "../../billing/calendar.ts";
import { toDecimalString } from "../../billing/money.ts";
import type { Client } from "../../client/client.ts";
import { readPages } from "../../client/pages.ts";
import { ADMINISTRATOR_APPROVAL, type Purchase } from "../../contract/billing.ts";
import { asPrinted } from "../buying/engine/follow.ts";
import { bought, buyer, type Owing, statusWords } from "../buying/purchaseView.ts";
import { connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import {
  addCommand,
  csvOption,
  type GlobalOptions,
  interruptible,
  type Run,
  readCsv,
  readGlobals,
} from "../kit/command.ts";
import { type Cell, toCsv } from "../kit/csv.ts";
import { printResult, type View } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { type Column, columns, list } from "../kit/table.ts";
import { clean, shortId } from "../kit/text.ts";
import { calendarDate, wholeNumber } from "../kit/values.ts";
import { instant, licenses, moneyText } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";

/** The options of `purchases list`. */
export interface ListOptions extends GlobalOptions {
  readonly limit: number | null;
  readonly all: boolean;
  readonly status: string | null;
  readonly kind: string | null;
  /** Calendar dates in the organization's billing time zone, both inclusive; `null` for no bound. */
  readonly from: string | null;
  readonly to: string | null;
  readonly csv: boolean;
}

interface ListFlags {
  readonly limit?: number;
  readonly all?: boolean;
  readonly status?: string;
  readonly kind?: string;
  readonly from?: string;
  readonly to?: string;
  readonly csv?: boolean;
}

const KINDS = ["purchase", "renewal"];

const STATUSES = ["processing", "requires_approval", "succeeded", "failed", "needs_review"];

/** Registers `purchases list`. */
export function registerList(group: Command, context: Context, run: Run<ListOptions>): void {
  addCommand(group, {
    name: "list",
    description: "List purchases and renewals, newest first",
    examples: ["purchases list --kind renewal", "purchases list --all --from 2026-01-01 --csv > year.csv"],
  })
    .addOption(
      new Option("--limit <n>", "maximum number of purchases (default: 100)")
        .argParser(wholeNumber(1))
        .conflicts("all"),
    )
    .option("--all", "list every purchase")
    .option("--from <date>", "started on or after this date (e.g. 2026-11-01)", calendarDate)
    .option("--to <date>", "started on or before this date", calendarDate)
    .addOption(new Option("--status <status>", "filter by status").choices(STATUSES))
    .addOption(new Option("--kind <kind>", "filter by kind").choices(KINDS))
    .addOption(csvOption("print CSV, with amounts in major units"))
    .action((flags: ListFlags, command: Command) => {
      const { limit = null, all = false, status = null, kind = null, from = null, to = null } = flags;
      if (from !== null && to !== null && to < from) {
        throw usageError(`--to ${to} is before --from ${from}`, "Pass the earlier date with --from.");
      }
      const globals = readGlobals(command);
      const options = { ...globals, limit, all, status, kind, from, to, csv: readCsv(flags, globals) };
      return interruptible(context, () => run(options, context));
    });
}

const DEFAULT_LIMIT = 100;

const PAGE_SIZE = 100;

/** Prints the organization's purchases, newest first, and notes on stderr if there are more. */
export async function runList(options: ListOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options, "billing");
  const reading = organizationId().then((id) =>
    Promise.all([listPurchases(client, id, options), options.json || options.csv ? null : client.subscription(id)]),
  );
  const [{ purchases, hasMore }, subscription] = await withSpinner(context, options, "Reading purchases", reading);
  await printResult<"purchases list">(context, options, purchases, async (view) => {
    if (subscription === null) return purchasesCsv(purchases);
    return renderPurchases(purchases, subscription.organization.timeZone, view, subscription);
  });
  if (hasMore && !options.quiet)
    context.io.note(`Showing the newest ${purchases.length}. Pass --limit <n> or --all to see more.\n`);
}

async function listPurchases(
  client: Pick<Client, "purchases">,
  organizationId: number,
  { all, limit, status, kind, from, to }: ListOptions,
): Promise<{ purchases: Purchase[]; hasMore: boolean }> {
  const { items, next } = await readPages({
    name: "purchases",
    read: (after: string | null, left) =>
      client.purchases(organizationId, {
        ...setFilters({ after, status, kind, from, to }),
        limit: Math.min(PAGE_SIZE, left),
      }),
    limit: all ? Number.POSITIVE_INFINITY : (limit ?? DEFAULT_LIMIT),
  });
  return { purchases: items.map(asPrinted), hasMore: next !== null };
}

/** The filters that are set. */
function setFilters<Name extends string>(
  filters: Readonly<Record<Name, string | null>>,
): Partial<Record<Name, string>> {
  return Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== null)) as Partial<
    Record<Name, string>
  >;
}

const LIST: readonly Column[] = [
  { head: "Date" },
  { head: "Licenses", align: "right" },
  { head: "Amount", align: "right" },
  { head: "Status" },
  { head: "By", cutTo: 8 },
  { head: "ID" },
];

/**
 * Renders purchases in the order given, followed by their total.
 *
 * @param timeZone the time zone of the dates: the organization's, as everywhere in billing
 * @param owing the subscription, whose unpaid renewal may be among them
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
    ...(isTerminal
      ? [byToken(purchase) ?? purchase.kind, shortId(clean(purchase.id))]
      : // Off a terminal the deadline has no line of its own.
        [buyer(purchase) ?? purchase.kind, clean(purchase.id), deadline(purchase, owing) ?? ""]),
  ]);
  const oneLine = list(LIST, rows, view);
  if (!isTerminal && oneLine !== null) return oneLine;
  const open = purchases.flatMap((purchase) => {
    const until = deadline(purchase, owing);
    return until === null ? [] : [wrap(`${shortId(clean(purchase.id))}: ${until}.`, view.width)];
  });
  const hint = wrap("See `secureflag-licenses purchases show <id>` for what to do.", view.width);
  return [
    oneLine ?? blocks(purchases, dateOf, view, owing),
    "",
    wrap(totalOf(purchases), view.width),
    ...(oneLine === null ? [] : open),
    ...(purchases.some(({ nextAction }) => nextAction !== null) ? [hint] : []),
  ].join("\n");
}

/** Names who bought, token first, because a list cuts the end of a cell. */
function byToken(purchase: Purchase): string | null {
  const { purchasedBy } = purchase;
  return purchasedBy?.token ? clean(`${purchasedBy.token} (${purchasedBy.email})`) : buyer(purchase);
}

/** Renders a list for a narrow terminal: several lines an item, wrapped and never cut. */
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
    // Do not show a sum that a number cannot represent exactly.
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
  if (kind === "purchase") {
    const verb = nextAction.type === ADMINISTRATOR_APPROVAL ? "approve" : "pay";
    return `${verb} by ${instant(nextAction.expiresAt)}`;
  }
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

/** Renders purchases as CSV: a row each, with amounts in major units and their currency in a column. */
export function purchasesCsv(purchases: readonly Purchase[]): string {
  return toCsv(
    COLUMNS.map(([head]) => head),
    purchases.map((purchase) => COLUMNS.map(([, cell]) => cell(purchase))),
  );
}
