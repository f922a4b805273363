import type { Command } from "commander";
import type { Receipt } from "../../contract/billing.ts";
import { connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { assertWritable, type OutputFile, writeOutputFile } from "../files/files.ts";
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
}

/** Registers `purchases receipt`. */
export function registerReceipt(group: Command, context: Context, run: Run<ReceiptOptions>): void {
  addCommand(group, {
    name: "receipt",
    description: "Show a purchase's receipt, or save it as PDF",
    examples: ["purchases receipt pur_4f8c21d9", "purchases receipt pur_4f8c21d9 --pdf receipt.pdf"],
  })
    .addArgument(purchaseArgument())
    .option("--pdf <file>", "save the receipt as PDF; - for stdout", someText)
    .option("--force", "overwrite the file if it exists")
    .action((purchaseId: string, flags: { pdf?: string; force?: boolean }, command: Command) => {
      const { pdf = null, force = false } = flags;
      return interruptible(context, () => run({ ...readGlobals(command), purchaseId, pdf, force }, context));
    });
}

const STDOUT = "-";

/** Prints the receipt of a purchase, or saves it as PDF. */
export async function runReceipt(options: ReceiptOptions, context: Context): Promise<void> {
  const { pdf, force } = options;
  if (pdf === null && force) throw usageError("--force requires --pdf", "Pass --pdf <file>, or remove --force.");
  if (pdf === null) return show(options, context);
  if (pdf === STDOUT) return printPdf(options, context);
  return savePdf({ path: pdf, force }, options, context);
}

async function show(options: ReceiptOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options, "billing");
  const reading = organizationId().then((id) => client.receipt(id, options.purchaseId));
  const receipt = await withSpinner(context, options, "Reading the receipt", reading);
  await printResult<"purchases receipt">(context, options, receipt, (view) => renderReceipt(receipt, view));
}

async function printPdf(options: ReceiptOptions, context: Context): Promise<void> {
  if (options.json) throw usageError("--pdf - cannot be used with --json: both write to stdout", "Pass --pdf <file>.");
  if (context.io.stdoutIsTerminal) {
    throw usageError("Cannot write a PDF to a terminal", "Redirect stdout, or pass --pdf <file>.");
  }
  const { pdf } = await read(options, context);
  await context.io.print(pdf.bytes);
}

async function savePdf(file: OutputFile, options: ReceiptOptions, context: Context): Promise<void> {
  assertWritable(file);
  const { pdf, receipt } = await read(options, context);
  writeOutputFile(file, pdf.bytes, context);
  const saved = `Saved the receipt to ${clean(file.path)}`;
  if (receipt === null) await context.io.print(`${saved}\n`);
  else await printResult<"purchases receipt">(context, options, { ...receipt, pdf: file.path }, () => saved);
}

/** Reads the PDF, and with `--json` the receipt, and checks that both are the same. */
async function read(options: ReceiptOptions, context: Context) {
  const { client, organizationId } = await connect(context, options, "billing");
  const reading = async () => {
    const id = await organizationId();
    const receipt = options.json ? await client.receipt(id, options.purchaseId) : null;
    const pdf = await client.receiptPdf(id, options.purchaseId);
    if (receipt) assertSame(receipt, pdf.name);
    return { pdf, receipt };
  };
  return withSpinner(context, options, "Reading the receipt", reading());
}

function assertSame({ receiptNumber }: Receipt, name: string | null): void {
  if (name === null || name === `receipt-${receiptNumber}.pdf`) return;
  throw new CliError(
    "unexpected_answer",
    `Unexpected response from the backend: requested receipt ${receiptNumber}, received ${name}`,
  );
}

/** Renders a receipt, with its own amounts. */
export function renderReceipt(receipt: Receipt, view: View): string {
  const { term, dueNow, unitPrice, taxRate, purchasedBy, refund } = receipt;
  const token = purchasedBy?.token;
  return fields(
    [
      ["Receipt", view.style.bold(clean(receipt.receiptNumber))],
      ["Issued", instant(receipt.issuedAt)],
      ["Organization", organizationAndMode(receipt, view)],
      ["Bought by", purchasedBy && clean(token ? `${purchasedBy.email}, token ${token}` : purchasedBy.email)],
      ["Purchase", clean(receipt.purchaseId)],
      [receipt.kind === "purchase" ? "Bought on" : "Renewed on", `${receipt.purchaseDate} in the billing time zone`],
      ["Plan", clean(receipt.plan)],
      ["Licenses", licensesOf(receipt)],
      ["Term", `${term.start} to ${term.renewalDate}, ${term.daysRemaining} of ${term.days} days`],
      [
        "Subtotal",
        `${licenses(receipt.licenses)} × ${moneyText(unitPrice)} × ${term.daysRemaining} / ${term.days} days = ${moneyText(dueNow)}`,
      ],
      ["Tax", `${decimalText(taxRate)}% of ${moneyText(dueNow)} = ${moneyText(receipt.tax)}`],
      ["Total", view.style.bold(moneyText(receipt.total))],
      ["Paid with", paymentMethod(receipt.paymentMethod)],
      [
        "Refunded",
        refund
          ? `${moneyText(refund.amount)} on ${instant(refund.refundedAt)}, credit note ${clean(refund.creditNoteNumber)}`
          : null,
      ],
      ["PO number", receipt.purchaseOrder && clean(receipt.purchaseOrder)],
      ["Note", receipt.note && clean(receipt.note)],
    ],
    view,
  );
}

/** A payment may have arrived too late to add licenses. */
function licensesOf({ status, kind, licenses: bought, licensesAfter }: Receipt): string {
  if (status !== undefined && status !== "succeeded") return `${licensesAfter}, none added`;
  return kind === "purchase" ? countChange(licensesAfter, bought) : `renewal of ${bought}`;
}
