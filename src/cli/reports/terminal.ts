import stringWidth from "string-width";
import type { View } from "../kit/output.ts";
import { columns, fields } from "../kit/table.ts";
import { bar, clean } from "../kit/text.ts";
import { decimalText, moneyText, organizationAndMode } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import {
  GROUP_HEADS,
  type KnownMonth,
  knownMonths,
  NO_KEY,
  runwayWords,
  type ShownReport,
  savingCommand,
  unusedWords,
} from "./figures.ts";

const GAP = 2;

const MAX_CHART_WIDTH = 60;

/** Below this, a bar says nothing. */
const MIN_BAR = 4;

/** Renders a report. Off a terminal the months are one record a line, and the groups follow after an empty line. */
export function renderReport(shown: ShownReport, view: View): string {
  if (!Number.isFinite(view.width)) return records(shown);
  const { report, subscription, by } = shown;
  const months = knownMonths(report);
  const first = months[0]?.month;
  const isCut = first !== report.from;
  const saving = savingCommand(report, subscription);
  const facts = fields(
    [
      ["Organization", organizationAndMode(subscription, view)],
      ["Months", `${report.from} to ${report.to}, in ${clean(subscription.organization.timeZone)}`],
      ["Runway", runwayWords(report, decimalText)],
      ["Unused", unusedWords(report, subscription, moneyText)],
    ],
    view,
  );
  const sections = [
    facts,
    ...(saving === null ? [] : [wrap(`Save that with \`${saving}\`.`, view.width)]),
    ...(isCut
      ? [wrap(first ? `Nothing is known from before ${first}.` : "Nothing is known of these months.", view.width)]
      : []),
    ...(months.length === 0 ? [] : [monthTable(shown, months, view), ...(view.isPlain ? [] : charts(months, view))]),
    ...(by === null || report.by === null || report.by.length === 0 ? [] : [groupTable(shown, view)]),
    wrap("See `secureflag-licenses events list` for what happened.", view.width),
  ];
  return sections.join("\n\n");
}

function records({ report, by }: ShownReport): string {
  const months = report.months.map((each) =>
    [
      each.month,
      ...[each.purchased, each.used, each.usersAdded, each.usersRemoved, each.purchases].map((count) => count ?? ""),
      ...[each.charged, each.tax, each.refunded, each.net].map((amount) => (amount ? moneyText(amount) : "")),
    ].join("\t"),
  );
  const groups = (report.by ?? []).map(({ key, purchases, licenses, net }) =>
    [groupName(key, by), purchases, licenses, moneyText(net)].join("\t"),
  );
  return [months.join("\n"), ...(groups.length === 0 ? [] : [groups.join("\n")])].join("\n\n");
}

function groupName(key: string | null, by: ShownReport["by"]): string {
  return key === null ? NO_KEY[by ?? "buyer"] : clean(key);
}

/** A column of a table. Where it does not fit, the columns with the highest numbers are left out first. */
interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string;
  readonly total?: string;
  readonly leaveOut?: number;
}

function monthTable({ report }: ShownReport, months: readonly KnownMonth[], view: View): string {
  const { total } = report;
  const count = (value: number | null) => (value === null ? "–" : String(value));
  const all: readonly Column<KnownMonth>[] = [
    { head: "Month", cell: ({ month }) => month, total: "Total" },
    { head: "Licenses", cell: ({ purchased }) => count(purchased), leaveOut: -2 },
    { head: "Used", cell: ({ used }) => count(used), leaveOut: -1 },
    { head: "Users", cell: ({ usersAdded, usersRemoved }) => userChange(usersAdded, usersRemoved), leaveOut: 3 },
    { head: "Purchases", cell: ({ purchases }) => String(purchases), total: String(total.purchases), leaveOut: 2 },
    { head: "Charged", cell: ({ charged }) => moneyText(charged), total: moneyText(total.charged), leaveOut: 1 },
    { head: "Tax", cell: ({ tax }) => moneyText(tax), total: moneyText(total.tax), leaveOut: 4 },
    ...(total.refunded.amount === 0
      ? []
      : [
          {
            head: "Refunded",
            cell: ({ refunded }: KnownMonth) => moneyText(refunded),
            total: moneyText(total.refunded),
            leaveOut: 0,
          },
        ]),
    { head: "Net", cell: ({ net }) => moneyText(net), total: moneyText(total.net) },
  ];
  return table(all, months, view);
}

/** `+2 −1`: users who were added and removed. */
function userChange(added: number | null, removed: number | null): string {
  if (added === null || removed === null) return "–";
  return [...(added > 0 ? [`+${added}`] : []), ...(removed > 0 ? [`−${removed}`] : [])].join(" ");
}

function groupTable({ report, by }: ShownReport, view: View): string {
  const all: readonly Column<NonNullable<typeof report.by>[number]>[] = [
    { head: GROUP_HEADS[by ?? "buyer"], cell: ({ key }) => groupName(key, by) },
    { head: "Purchases", cell: ({ purchases }) => String(purchases), leaveOut: 1 },
    { head: "Licenses", cell: ({ licenses }) => String(licenses), leaveOut: 0 },
    { head: "Net", cell: ({ net }) => moneyText(net) },
  ];
  return table(all, report.by ?? [], view);
}

/** A table as wide as its cells. Where it does not fit, columns are left out, and what is left of the first one wraps. */
function table<Row>(all: readonly Column<Row>[], rows: readonly Row[], view: View): string {
  const { style, inCharset = (text) => text } = view;
  const hasTotal = all.some(({ total }) => total !== undefined) && rows.length > 1;
  const drawn = all.map((column) => {
    const cells = rows.map((row) => inCharset(column.cell(row)));
    const total = hasTotal ? inCharset(column.total ?? "") : null;
    const width = Math.max(...[column.head, ...cells, total ?? ""].map((cell) => stringWidth(cell)));
    return { column, cells, total, width };
  });
  const room = view.columns ?? view.width;
  const excess = () => drawn.reduce((sum, { width }) => sum + width + GAP, -GAP) - room;
  const dispensable = drawn
    .filter(({ column }) => column.leaveOut !== undefined)
    .sort((one, other) => (other.column.leaveOut ?? 0) - (one.column.leaveOut ?? 0));
  for (const next of dispensable) if (excess() > 0) drawn.splice(drawn.indexOf(next), 1);
  const [first] = drawn;
  if (first) first.width = Math.max(MIN_BAR, first.width - Math.max(0, excess()));
  const end = (cell: string, at: number, width: number) =>
    at === 0 ? cell : " ".repeat(Math.max(0, width - stringWidth(cell))) + cell;
  const line = (cellOf: (each: (typeof drawn)[number]) => string) =>
    drawn.map((each, at) => end(cellOf(each), at, each.width));
  return columns(
    line(({ column }) => column.head),
    [
      ...rows.map((_, row) => line(({ cells }) => cells[row] ?? "")),
      ...(hasTotal ? [line(({ total }) => total ?? "").map((cell) => style.bold(cell))] : []),
    ],
    drawn.map(({ width }) => width),
    view,
  );
}

/** Bars of what was spent, and of licenses purchased and used. */
function charts(months: readonly KnownMonth[], view: View): string[] {
  const { style } = view;
  const largest = Math.max(...months.map(({ net }) => Math.abs(net.amount)));
  const spent = months.map(({ month, net }) => ({
    label: [month, moneyText(net)] as const,
    draw: (room: number) => {
      const share = Math.abs(net.amount) / largest;
      // Little is not nothing.
      const { filled } = bar(net.amount === 0 ? 0 : Math.max(share, 1 / room), room);
      // Of two shades, so that they are not told apart by color alone.
      return net.amount < 0 ? style.red(filled.replaceAll("█", "░")) : style.cyan(filled);
    },
  }));
  const most = Math.max(...months.map(({ purchased }) => purchased ?? 0));
  const counted = months.map(({ month, purchased, used }) => ({
    label: [month, purchased === null || used === null ? "–" : `${used} of ${purchased}`] as const,
    draw: (room: number) => {
      const { filled: whole } = bar((purchased ?? 0) / most, room);
      const { filled } = bar((used ?? 0) / most, room);
      return `${style.green(filled)}${style.dim("░".repeat(Math.max(0, whole.length - filled.length)))}`;
    },
  }));
  return [
    ...(largest === 0 ? [] : [chart("Net spend", spent, view)]),
    ...(most === 0 ? [] : [chart("Licenses used", counted, view)]),
  ];
}

interface Bar {
  readonly label: readonly [month: string, value: string];
  readonly draw: (room: number) => string;
}

function chart(title: string, bars: readonly Bar[], view: View): string {
  const { inCharset = (text) => text } = view;
  const values = bars.map(({ label }) => inCharset(label[1]));
  const [monthWidth, valueWidth] = [7, Math.max(...values.map((value) => stringWidth(value)))];
  const room = Math.min(view.width, MAX_CHART_WIDTH) - monthWidth - valueWidth - 2 * GAP;
  const lines = bars.map(({ label, draw }, index) => {
    const value = " ".repeat(valueWidth - stringWidth(values[index] ?? "")) + (values[index] ?? "");
    return [label[0], value, ...(room < MIN_BAR ? [] : [draw(room)])].join(" ".repeat(GAP)).trimEnd();
  });
  return [view.style.bold(title), ...lines].join("\n");
}
