import { type Command, Option } from "commander";
import type { Client } from "../../client/client.ts";
import { readPages } from "../../client/pages.ts";
import type { Event } from "../../contract/events.ts";
import { connectToOrganization } from "../connection/connect.ts";
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
import { type Column, list } from "../kit/table.ts";
import { clean, shortId } from "../kit/text.ts";
import { calendarDate, eventType, wholeNumber } from "../kit/values.ts";
import { instant } from "../kit/words.ts";

/** The options of `events list`. */
export interface ListOptions extends GlobalOptions {
  readonly limit: number | null;
  readonly all: boolean;
  readonly type: string | null;
  /** Calendar dates in the organization's billing time zone, both inclusive; `null` for no bound. */
  readonly from: string | null;
  readonly to: string | null;
  readonly csv: boolean;
}

interface ListFlags {
  readonly limit?: number;
  readonly all?: boolean;
  readonly type?: string;
  readonly from?: string;
  readonly to?: string;
  readonly csv?: boolean;
}

/** Registers `events list`. */
export function registerList(group: Command, context: Context, run: Run<ListOptions>): void {
  addCommand(group, {
    name: "list",
    description: "List the newest events, in the order in which they happened",
    examples: ["events list --type purchase", "events list --all --from 2026-01-01 --csv > events.csv"],
  })
    .addOption(
      new Option("--limit <n>", "maximum number of events (default: 100)").argParser(wholeNumber(1)).conflicts("all"),
    )
    .option("--all", "list every event")
    .option("--from <date>", "happened on or after this date (e.g. 2026-11-01)", calendarDate)
    .option("--to <date>", "happened on or before this date", calendarDate)
    .option("--type <type>", "filter by type (e.g. purchase, token.created)", eventType)
    .addOption(csvOption("print CSV"))
    .action((flags: ListFlags, command: Command) => {
      const { limit = null, all = false, type = null, from = null, to = null } = flags;
      if (from !== null && to !== null && to < from) {
        throw usageError(`--to ${to} is before --from ${from}`, "Pass the earlier date with --from.");
      }
      const globals = readGlobals(command);
      const options = { ...globals, limit, all, type, from, to, csv: readCsv(flags, globals) };
      return interruptible(context, () => run(options, context));
    });
}

const DEFAULT_LIMIT = 100;

const PAGE_SIZE = 100;

/** Prints the organization's newest events, the newest last, and notes on stderr if there are more. */
export async function runList(options: ListOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connectToOrganization(context, options, "billing");
  const reading = listEvents(client, organizationId, options);
  const { events, hasMore } = await withSpinner(context, options, "Reading events", reading);
  await printResult<"events list">(context, options, events, (view) =>
    options.csv ? eventsCsv(events) : renderEvents(events, view),
  );
  if (hasMore && !options.quiet)
    context.io.note(`Showing the newest ${events.length}. Pass --limit <n> or --all to see more.\n`);
}

async function listEvents(
  client: Pick<Client, "events">,
  organizationId: number,
  { all, limit, type, from, to }: ListOptions,
): Promise<{ events: Event[]; hasMore: boolean }> {
  const filters = { ...(type !== null && { type }), ...(from !== null && { from }), ...(to !== null && { to }) };
  const { items, next } = await readPages({
    name: "events",
    read: (after: string | null, left) =>
      client.events(organizationId, {
        order: "newest",
        ...filters,
        ...(after !== null && { after }),
        limit: Math.min(PAGE_SIZE, left),
      }),
    limit: all ? Number.POSITIVE_INFINITY : (limit ?? DEFAULT_LIMIT),
  });
  return { events: items.reverse(), hasMore: next !== null };
}

const LIST: readonly Column[] = [
  { head: "No.", align: "right" },
  { head: "Date" },
  { head: "Type" },
  { head: "By", cutTo: 8 },
  { head: "Purchase", isOptional: true },
];

function renderEvents(events: readonly Event[], view: View): string {
  if (events.length === 0) return "No events.";
  const isTerminal = Number.isFinite(view.width);
  const rows = events.map(({ number, at, type, actor, purchaseId }) => {
    const purchase = clean(purchaseId ?? "");
    return [String(number), instant(at), clean(type), clean(actor), isTerminal ? shortId(purchase) : purchase];
  });
  return list(LIST, rows, view) ?? rows.map((cells) => cells.filter((cell) => cell !== "").join("\n")).join("\n\n");
}

const COLUMNS: readonly (readonly [head: string, cell: (event: Event) => Cell])[] = [
  ["number", ({ number }) => number],
  ["at", ({ at }) => at],
  ["type", ({ type }) => type],
  ["actor", ({ actor }) => actor],
  ["purchaseId", ({ purchaseId }) => purchaseId],
  ["data", ({ data }) => JSON.stringify(data)],
  ["hash", ({ hash }) => hash],
];

function eventsCsv(events: readonly Event[]): string {
  return toCsv(
    COLUMNS.map(([head]) => head),
    events.map((event) => COLUMNS.map(([, cell]) => cell(event))),
  );
}
