import { type Command, Option } from "commander";
import { toDecimalString } from "../../billing/money.ts";
import { countMonths } from "../../billing/months.ts";
import type { Subscription } from "../../contract/billing.ts";
import { MAX_REPORT_MONTHS, REPORT_KEYS, type ReportKey } from "../../contract/constants.ts";
import type { Report } from "../../contract/report.ts";
import { connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { assertWritable, type OutputFile, writeOutputFile } from "../files/files.ts";
import { assertStdoutFree, STANDARD, writeStdout } from "../files/standard.ts";
import {
  addCommand,
  csvOption,
  type GlobalOptions,
  interruptible,
  type Run,
  readCsv,
  readGlobals,
} from "../kit/command.ts";
import { toCsv } from "../kit/csv.ts";
import { note, printResult } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { clean } from "../kit/text.ts";
import { calendarMonth, someText, wholeNumber } from "../kit/values.ts";
import { days } from "./figures.ts";
import { renderReport } from "./terminal.ts";

/** The options of `report`. */
export interface ReportOptions extends GlobalOptions {
  /** Months of the billing time zone, both inclusive; `null` for the backend's default. */
  readonly from: string | null;
  readonly to: string | null;
  readonly by: ReportKey | null;
  readonly csv: boolean;
  readonly html: OutputFile | null;
  readonly failIfRunwayBelow: number | null;
}

interface ReportFlags {
  readonly from?: string;
  readonly to?: string;
  readonly by?: ReportKey;
  readonly csv?: boolean;
  readonly html?: string;
  readonly force?: boolean;
  readonly failIfRunwayBelow?: number;
}

/** Registers `report`. */
export function register(program: Command, context: Context, run: Run<ReportOptions> = runReport): void {
  addCommand(program, {
    name: "report",
    examples: ["report --from 2026-01 --by buyer", "report --html report.html"],
  })
    .option("--from <month>", "first month (e.g. 2026-01; default: 12 months in all)", calendarMonth)
    .option("--to <month>", "last month (default: the current one)", calendarMonth)
    .addOption(new Option("--by <key>", "also show net spend by buyer, API token or PO number").choices(REPORT_KEYS))
    .addOption(csvOption("print the months as CSV, with amounts in major units"))
    .option("--html <file>", "also save the report as a web page with charts; - for stdout", someText)
    .option("--force", "overwrite the file if it exists")
    .option("--fail-if-runway-below <days>", "exit with code 7 if licenses last fewer days", wholeNumber(0))
    .action((flags: ReportFlags, command: Command) => {
      const options = readOptions(flags, readGlobals(command));
      return interruptible(context, () => run(options, context));
    });
}

function readOptions(flags: ReportFlags, globals: GlobalOptions): ReportOptions {
  const { from = null, to = null, by = null, html, force = false, failIfRunwayBelow = null } = flags;
  if (from !== null && to !== null) assertMonths(from, to);
  if (html === undefined && force)
    throw usageError("--force requires --html", "Pass --html <file>, or remove --force.");
  const csv = readCsv(flags, globals);
  if (html === STANDARD) assertStdoutFree("--html -", { "--json": globals.json, "--csv": csv });
  return { ...globals, from, to, by, csv, html: html === undefined ? null : { path: html, force }, failIfRunwayBelow };
}

function assertMonths(from: string, to: string): void {
  const count = countMonths(from, to);
  if (count < 1) throw usageError(`--from ${from} is after --to ${to}`, "Pass the earlier month with --from.");
  if (count <= MAX_REPORT_MONTHS) return;
  throw usageError(`${from} to ${to} is ${count} months`, `Pass at most ${MAX_REPORT_MONTHS} months.`);
}

/**
 * Prints spending and licenses by month, and saves them as a web page with `--html`.
 *
 * @throws CliError `runway_too_short` with nothing printed and nothing saved; `file_exists`, `file_not_written`; what
 *   connecting and reading throw
 */
export async function runReport(options: ReportOptions, context: Context): Promise<void> {
  const { html, csv, json, by } = options;
  if (html && html.path !== STANDARD) assertWritable(html);
  const { client, organizationId } = await connect(context, options, "billing");
  const query = Object.fromEntries(
    Object.entries({ from: options.from, to: options.to, by }).filter(([, value]) => value !== null),
  );
  const isForPeople = html !== null || (!json && !csv);
  const reading = organizationId().then((id) =>
    Promise.all([client.report(id, query), isForPeople ? client.subscription(id) : null]),
  );
  const [report, subscription] = await withSpinner(context, options, "Reading the report", reading);
  assertRunway(report, options.failIfRunwayBelow);
  if (html && subscription) await save(html, report, subscription, options, context);
  if (html?.path === STANDARD) return;
  if (csv && by !== null) note(context, options, "CSV has the months alone. Pass --json for the groups of --by.");
  await printResult<"report">(context, options, report, (view) =>
    csv || subscription === null ? reportCsv(report) : renderReport({ report, subscription, by }, view),
  );
}

function assertRunway({ runway }: Report, minimum: number | null): void {
  if (runway === null || minimum === null || runway.days >= minimum) return;
  throw new CliError(
    "runway_too_short",
    `Licenses last ${days(runway.days)} at the current pace, fewer than ${minimum}`,
    {
      hint: "Buy more with `secureflag-licenses buy <n>`.",
    },
  );
}

async function save(
  file: OutputFile,
  report: Report,
  subscription: Subscription,
  options: ReportOptions,
  context: Context,
): Promise<void> {
  const { reportPage } = await import("./page.ts");
  const page = reportPage({ report, subscription, by: options.by });
  if (file.path === STANDARD) return await writeStdout(context, [page]);
  writeOutputFile(file, Buffer.from(page), context);
  note(context, options, `Saved the report to ${clean(file.path)}.`);
}

const HEADS = "month,purchased,used,usersAdded,usersRemoved,purchases,charged,tax,refunded,net,currency".split(",");

/** Renders the months as CSV: a row each, with amounts in major units and their currency in a column. */
export function reportCsv({ months, currency }: Report): string {
  const rows = months.map((each) => [
    ...[each.month, each.purchased, each.used, each.usersAdded, each.usersRemoved, each.purchases],
    ...[each.charged, each.tax, each.refunded, each.net].map(
      (amount) => amount && { decimal: toDecimalString(amount) },
    ),
    currency,
  ]);
  return toCsv(HEADS, rows);
}
