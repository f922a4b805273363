import { createHash } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { dateInZone } from "../../billing/calendar.ts";
import { type Money, toDecimalString } from "../../billing/money.ts";
import type { Client } from "../../client/client.ts";
import { readPages } from "../../client/pages.ts";
import type { Purchase } from "../../contract/billing.ts";
import { connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf, usageError } from "../errors.ts";
import { isMissing } from "../files/errno.ts";
import { makeOutputDirectory, readInputFile, writeOutputFile } from "../files/files.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { type Cell, toCsv } from "../kit/csv.ts";
import { printResult } from "../kit/output.ts";
import { withProgressBar, withSpinner } from "../kit/spinner.ts";
import { clean } from "../kit/text.ts";
import { calendarDate, someText } from "../kit/values.ts";
import type { Output } from "../outputs.ts";

/** The options of `purchases export`. */
export interface ExportOptions extends GlobalOptions {
  /** Calendar dates in the organization's billing time zone, both inclusive. */
  readonly from: string;
  readonly to: string;
  readonly dir: string;
}

/** Registers `purchases export`. */
export function registerExport(group: Command, context: Context, run: Run<ExportOptions>): void {
  addCommand(group, {
    name: "export",
    description: "Save all receipts and credit notes of a period as PDF",
    examples: [
      "purchases export --from 2026-01-01 --to 2026-12-31 --dir receipts",
      "purchases export --from 2026-11-01 --to 2026-11-30 --dir november --json",
    ],
  })
    .requiredOption("--from <date>", "issued on or after this date (e.g. 2026-11-01)", calendarDate)
    .requiredOption("--to <date>", "issued on or before this date", calendarDate)
    .requiredOption("--dir <dir>", "directory for the files; it is created if it is missing", someText)
    .addHelpText("after", HELP)
    .action((flags: { from: string; to: string; dir: string }, command: Command) => {
      const { from, to, dir } = flags;
      if (to < from) throw usageError(`--to ${to} is before --from ${from}`, "Pass the earlier date with --from.");
      return interruptible(context, () => run({ ...readGlobals(command), from, to, dir }, context));
    });
}

const HELP = `
Writes a PDF for each, and index.csv with one row for each;
a credit note's amounts are negative. Run it again after an
interruption: PDFs that are there are kept, and one that
differs is never overwritten.`;

/** A receipt or a credit note to export, without its file. */
type Listed = Omit<Output<"purchases export">["documents"][number], "file" | "sha256" | "existed">;

type Exported = Output<"purchases export">["documents"][number];

/**
 * Saves the receipts and credit notes of a period, and an index of them.
 *
 * @throws CliError `file_exists` for a PDF that differs from the one there, `file_not_written`; `font_missing`, after
 *   everything else was saved, if the backend cannot draw one
 */
export async function runExport(options: ExportOptions, context: Context): Promise<void> {
  const { from, to, dir } = options;
  const { client, organizationId } = await connect(context, options, "billing");
  const id = await organizationId();
  const listed = await withSpinner(context, options, "Reading purchases", listDocuments(client, id, { from, to }));
  makeOutputDirectory(dir);
  removeLeftovers(dir);
  context.interruption = INTERRUPTED;
  const known = await readHashes(dir);
  const failures: unknown[] = [];
  const documents = await withProgressBar(context, options, "Exporting", async (show) => {
    const exported: Exported[] = [];
    for (const document of listed) {
      show(exported.length, listed.length);
      const one = exportOne({ client, organizationId: id, dir, known }, document, context).catch((error: unknown) => {
        if (codeOf(error) !== "font_missing") throw error;
        failures.push(error);
        return { ...document, file: null, sha256: null, existed: false };
      });
      exported.push(await one);
    }
    return exported;
  });
  const index = Buffer.from(`${indexCsv(documents)}\n`);
  writeOutputFile({ path: join(dir, INDEX), force: true }, index, context);
  context.interruption = null;
  await printResult<"purchases export">(context, options, { dir, from, to, documents }, () => summary(documents, dir));
  if (failures.length > 0) throw undrawn(documents, failures[0]);
}

/** The error for documents that the backend cannot draw: their names need a font that it does not have. */
function undrawn(documents: readonly Exported[], cause: unknown): CliError {
  const numbers = documents.filter(({ file }) => file === null).map(({ number }) => number);
  const why = cause instanceof Error ? cause.message : String(cause);
  const hint = "index.csv has their amounts. Run the command again once the backend has the font.";
  return new CliError("font_missing", `Not saved: ${numbers.join(", ")}. ${why}`, { hint, cause });
}

const INTERRUPTED = {
  message: "The export is incomplete",
  hint: "Run the same command again to go on where it stopped.",
};

const INDEX = "index.csv";

/** Lists what was issued in a period, in the order of issue. A purchase is never accepted after its receipt is issued. */
async function listDocuments(
  client: Client,
  organizationId: number,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<Listed[]> {
  const { organization } = await client.subscription(organizationId);
  const { items } = await readPages({
    name: "purchases",
    read: (after: string | null) =>
      client.purchases(organizationId, { limit: 100, to, ...(after !== null && { after }) }),
  });
  const dateOf = (instant: string) => dateInZone(Date.parse(instant), organization.timeZone);
  const found: { at: number; document: Listed }[] = [];
  const add = (purchase: Purchase, kind: Listed["kind"], number: string, instant: string) => {
    const date = dateOf(instant);
    if (date < from || date > to) return;
    found.push({ at: Date.parse(instant), document: { number: fileName(number), date, kind, ...amountsOf(purchase) } });
  };
  for (const purchase of items) {
    const { receiptNumber, refund = null } = purchase;
    if (receiptNumber === null) continue;
    add(purchase, "receipt", receiptNumber, await issuedAt(client, organizationId, purchase));
    if (refund !== null) add(purchase, "credit_note", refund.creditNoteNumber, refund.refundedAt);
  }
  return found
    .sort((one, other) => one.at - other.at || (one.document.number < other.document.number ? -1 : 1))
    .map(({ document }) => document);
}

/** A purchase that succeeded was completed by its receipt; a late payment is completed by its refund. */
async function issuedAt(
  client: Client,
  organizationId: number,
  { id, status, completedAt }: Purchase,
): Promise<string> {
  if (status === "succeeded" && completedAt !== null) return completedAt;
  return (await client.receipt(organizationId, id)).issuedAt;
}

function amountsOf({ id, licenses, dueNow, tax, total, purchaseOrder }: Purchase) {
  return { purchaseId: id, licenses, net: dueNow, tax, total, purchaseOrder };
}

/** Refuses a number that would not be a name of a file in the directory. */
function fileName(number: string): string {
  if (/^[\w-]{1,100}$/.test(number)) return number;
  throw new CliError("unexpected_answer", `Unexpected response from the backend: '${clean(number)}' is not a number`);
}

interface Place {
  readonly client: Client;
  readonly organizationId: number;
  readonly dir: string;
  /** The digests that the index of an earlier run has, by number. */
  readonly known: ReadonlyMap<string, string>;
}

/** Saves a document, unless its file is there already. */
async function exportOne({ client, organizationId, dir, known }: Place, document: Listed, context: Context) {
  const { number, date, kind, purchaseId } = document;
  const file = `${date}_${number}.pdf`;
  const path = join(dir, file);
  const there = await readIfThere(path);
  if (there !== null && known.get(number) === digestOf(there)) {
    return { ...document, file, sha256: digestOf(there), existed: true };
  }
  const isReceipt = kind === "receipt";
  const pdf = await (isReceipt
    ? client.receiptPdf(organizationId, purchaseId)
    : client.creditNotePdf(organizationId, purchaseId));
  const name = `${isReceipt ? "receipt" : "credit-note"}-${number}.pdf`;
  if (pdf.name !== null && pdf.name !== name) {
    const message = `Unexpected response from the backend: requested ${name}, received ${clean(pdf.name)}`;
    throw new CliError("unexpected_answer", message);
  }
  if (there === null) writeOutputFile({ path, force: false }, pdf.bytes, context);
  else if (!there.equals(pdf.bytes)) throw differs(path);
  return { ...document, file, sha256: digestOf(pdf.bytes), existed: there !== null };
}

/** A PDF of the backend has at most 1 MB. */
const MAX_BYTES = 2_000_000;

async function readIfThere(path: string): Promise<Buffer | null> {
  try {
    return await readInputFile(path, MAX_BYTES);
  } catch (error) {
    if (isMissing(error)) return null;
    throw differs(path, error);
  }
}

function differs(path: string, cause?: unknown): CliError {
  const hint = "Move it away, or pass another --dir, then run the command again.";
  return new CliError("file_exists", `${clean(path)} already exists and is different; it was not overwritten`, {
    hint,
    cause,
  });
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Reads the digests of the index that an earlier run wrote; none where there is none. */
async function readHashes(dir: string): Promise<ReadonlyMap<string, string>> {
  const text = await readInputFile(join(dir, INDEX), MAX_INDEX_BYTES).catch(() => Buffer.alloc(0));
  const rows = text.toString("utf8").matchAll(/^([\w-]+),.*,([0-9a-f]{64})\r?$/gm);
  return new Map([...rows].map(([, number = "", digest = ""]) => [number, digest]));
}

const MAX_INDEX_BYTES = 100_000_000;

/** Removes what a run that was killed left behind while it wrote a file. */
function removeLeftovers(dir: string): void {
  const isLeftover = (name: string) => /^(\d{4}-\d{2}-\d{2}_[\w-]+\.pdf|index\.csv)\.\d+\.tmp$/.test(name);
  for (const name of readdirSync(dir).filter(isLeftover)) rmSync(join(dir, name), { force: true });
}

const COLUMNS = ["number", "date", "kind", "licenses", "net", "tax", "total", "currency", "purchaseOrder", "sha256"];

/** Renders the index: a credit note takes back what its receipt has. */
export function indexCsv(documents: readonly Exported[]): string {
  return toCsv(
    COLUMNS,
    documents.map(({ number, date, kind, licenses, net, tax, total, purchaseOrder, sha256 }) => {
      const sign = kind === "receipt" ? 1 : -1;
      const amounts = [net, tax, total].map((amount) => signed(amount, sign));
      return [number, date, kind, sign * licenses, ...amounts, total.currency, purchaseOrder, sha256];
    }),
  );
}

function signed(amount: Money, sign: 1 | -1): Cell {
  const decimal = toDecimalString(amount);
  return { decimal: sign < 0 && amount.amount > 0 ? `-${decimal}` : decimal };
}

function summary(documents: readonly Exported[], dir: string): string {
  const count = (kind: Exported["kind"], word: string) => {
    const all = documents.filter((document) => document.kind === kind && document.file !== null).length;
    return `${all} ${word}${all === 1 ? "" : "s"}`;
  };
  const before = documents.filter(({ existed }) => existed).length;
  const kept = before === 0 ? "" : ` ${before} of them ${before === 1 ? "was" : "were"} there already.`;
  return `Exported ${count("receipt", "receipt")} and ${count("credit_note", "credit note")} to ${clean(dir)}.${kept}`;
}
