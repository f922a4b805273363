import type { Command } from "commander";
import type { CreditNote, Receipt } from "../../contract/billing.ts";
import type { BillingDetails, Seller } from "../../contract/billingDetails.ts";
import { connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { assertWritable, type OutputFile, writeOutputFile } from "../files/files.ts";
import { assertStdoutFree, STANDARD, writeStdout } from "../files/standard.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult, type View } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { fields } from "../kit/table.ts";
import { clean } from "../kit/text.ts";
import { someText } from "../kit/values.ts";
import {
  countChange,
  decimalText,
  instant,
  licenses,
  moneyText,
  organizationAndMode,
  paymentMethod,
} from "../kit/words.ts";
import { type PurchaseOptions, purchaseArgument } from "./show.ts";

/** The options of `purchases receipt`. */
export interface ReceiptOptions extends PurchaseOptions {
  /** Where to write the PDF: a file, `-` for stdout, `null` for no PDF. */
  readonly pdf: string | null;
  readonly force: boolean;
  /** Whether the credit note is meant, not the receipt. */
  readonly creditNote: boolean;
}

/** Registers `purchases receipt`. */
export function registerReceipt(group: Command, context: Context, run: Run<ReceiptOptions>): void {
  addCommand(group, {
    name: "receipt",
    description: "Show a purchase's receipt or credit note, or save it as PDF",
    examples: ["purchases receipt pur_4f8c21d9 --pdf receipt.pdf", "purchases receipt pur_4f8c21d9 --credit-note"],
  })
    .addArgument(purchaseArgument())
    .option("--credit-note", "show or save the credit note of a refund instead")
    .option("--pdf <file>", "save it as PDF; - for stdout", someText)
    .option("--force", "overwrite the file if it exists")
    .action((purchaseId: string, flags: ReceiptFlags, command: Command) => {
      const { pdf = null, force = false, creditNote = false } = flags;
      return interruptible(context, () =>
        run({ ...readGlobals(command), purchaseId, pdf, force, creditNote }, context),
      );
    });
}

interface ReceiptFlags {
  readonly pdf?: string;
  readonly force?: boolean;
  readonly creditNote?: boolean;
}

/** Prints the receipt or the credit note of a purchase, or saves it as PDF. */
export async function runReceipt(options: ReceiptOptions, context: Context): Promise<void> {
  const { pdf, force } = options;
  if (pdf === null && force) throw usageError("--force requires --pdf", "Pass --pdf <file>, or remove --force.");
  if (pdf === null) return show(options, context);
  if (pdf === STANDARD) return printPdf(options, context);
  return savePdf({ path: pdf, force }, options, context);
}

async function show(options: ReceiptOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options, "billing");
  const { purchaseId, creditNote } = options;
  const reading = organizationId().then(
    (id): Promise<Receipt | CreditNote> =>
      creditNote ? client.creditNote(id, purchaseId) : client.receipt(id, purchaseId),
  );
  const document = await withSpinner(context, options, `Reading the ${wordOf(options)}`, reading);
  await printResult<"purchases receipt">(context, options, document, (view) =>
    "creditNoteNumber" in document ? renderCreditNote(document, view) : renderReceipt(document, view),
  );
}

function wordOf({ creditNote }: ReceiptOptions): string {
  return creditNote ? "credit note" : "receipt";
}

async function printPdf(options: ReceiptOptions, context: Context): Promise<void> {
  assertStdoutFree("--pdf -", { "--json": options.json });
  if (context.io.stdoutIsTerminal) {
    throw usageError("Cannot write a PDF to a terminal", "Redirect stdout, or pass --pdf <file>.");
  }
  const { pdf } = await read(options, context);
  await writeStdout(context, [pdf.bytes]);
}

async function savePdf(file: OutputFile, options: ReceiptOptions, context: Context): Promise<void> {
  assertWritable(file);
  const { pdf, document } = await read(options, context);
  writeOutputFile(file, pdf.bytes, context);
  const saved = `Saved the ${wordOf(options)} to ${clean(file.path)}`;
  if (document === null) await context.io.print(`${saved}\n`);
  else await printResult<"purchases receipt">(context, options, { ...document, pdf: file.path }, () => saved);
}

/** Reads the PDF, and with `--json` the document itself, and checks that both are the same. */
async function read(options: ReceiptOptions, context: Context) {
  const { client, organizationId } = await connect(context, options, "billing");
  const reading = async () => {
    const id = await organizationId();
    if (options.creditNote) {
      const note = options.json ? await client.creditNote(id, options.purchaseId) : null;
      const pdf = await client.creditNotePdf(id, options.purchaseId);
      if (note) assertSame("credit note", note.creditNoteNumber, pdf.name);
      return { pdf, document: note };
    }
    const receipt = options.json ? await client.receipt(id, options.purchaseId) : null;
    const pdf = await client.receiptPdf(id, options.purchaseId);
    if (receipt) assertSame("receipt", receipt.receiptNumber, pdf.name);
    return { pdf, document: receipt };
  };
  return withSpinner(context, options, `Reading the ${wordOf(options)}`, reading());
}

function assertSame(word: string, number: string, name: string | null): void {
  if (name === null || name === `${word.replace(" ", "-")}-${number}.pdf`) return;
  throw new CliError(
    "unexpected_answer",
    `Unexpected response from the backend: requested ${word} ${number}, received ${name}`,
  );
}

type Row = readonly [label: string, value: string | null];

/** Renders a receipt, with its own amounts. */
export function renderReceipt(receipt: Receipt, view: View): string {
  const { refund } = receipt;
  return fields(
    [
      ["Receipt", view.style.bold(clean(receipt.receiptNumber))],
      ["Issued", instant(receipt.issuedAt)],
      ...partyRows(receipt, view),
      ["Licenses", licensesOf(receipt)],
      ...chargeRows(receipt),
      ["Total", view.style.bold(moneyText(receipt.total))],
      ["Paid with", paymentMethod(receipt.paymentMethod)],
      [
        "Refunded",
        refund
          ? `${moneyText(refund.amount)} on ${instant(refund.refundedAt)}, credit note ${clean(refund.creditNoteNumber)}`
          : null,
      ],
      ...orderRows(receipt),
    ],
    view,
  );
}

/** Renders a credit note, with its own amounts. */
function renderCreditNote(note: CreditNote, view: View): string {
  return fields(
    [
      ["Credit note", view.style.bold(clean(note.creditNoteNumber))],
      ["Issued", instant(note.issuedAt)],
      ["Receipt", `${clean(note.receiptNumber)} of ${instant(note.receiptIssuedAt)}`],
      ...partyRows(note, view),
      ...chargeRows(note),
      ["Total refunded", view.style.bold(moneyText(note.total))],
      ["Refunded to", paymentMethod(note.paymentMethod)],
      ...orderRows(note),
    ],
    view,
  );
}

function partyRows(document: Receipt | CreditNote, view: View): Row[] {
  const { purchasedBy, seller, buyer } = document;
  const token = purchasedBy?.token;
  return [
    ["Organization", organizationAndMode(document, view)],
    ["Seller", seller && partyText(seller)],
    ["Buyer", buyer && partyText(buyer)],
    ["Bought by", purchasedBy && clean(token ? `${purchasedBy.email}, token ${token}` : purchasedBy.email)],
    ["Purchase", clean(document.purchaseId)],
    [document.kind === "purchase" ? "Bought on" : "Renewed on", `${document.purchaseDate} in the billing time zone`],
    ["Plan", clean(document.plan)],
  ];
}

/** `Northwind Ltd, 1 High Street, London, GB, VAT number GB999999973`. */
function partyText({ name, address, country, vatNumber }: Seller | BillingDetails): string {
  const parts = [name, ...address, country, vatNumber && `VAT number ${vatNumber}`];
  return parts.flatMap((part) => (part ? [clean(part)] : [])).join(", ");
}

function chargeRows({ term, dueNow, unitPrice, taxRate, licenses: count, tax }: Receipt | CreditNote): Row[] {
  const { start, renewalDate, daysRemaining, days } = term;
  return [
    ["Term", `${start} to ${renewalDate}, ${daysRemaining} of ${days} days`],
    [
      "Subtotal",
      `${licenses(count)} × ${moneyText(unitPrice)} × ${daysRemaining} / ${days} days = ${moneyText(dueNow)}`,
    ],
    ["Tax", `${decimalText(taxRate)}% of ${moneyText(dueNow)} = ${moneyText(tax)}`],
  ];
}

function orderRows({ purchaseOrder, note }: Receipt | CreditNote): Row[] {
  return [
    ["PO number", purchaseOrder && clean(purchaseOrder)],
    ["Note", note && clean(note)],
  ];
}

/** A payment may have arrived too late to add licenses. */
function licensesOf({ status, kind, licenses: bought, licensesAfter }: Receipt): string {
  if (status !== undefined && status !== "succeeded") return `${licensesAfter}, none added`;
  return kind === "purchase" ? countChange(licensesAfter, bought) : `renewal of ${bought}`;
}
