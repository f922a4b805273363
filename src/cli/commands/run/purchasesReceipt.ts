import type { Receipt } from "../../../contract/billing.ts";
import type { Context } from "../../context.ts";
import { CliError, usageError } from "../../errors.ts";
import { clean } from "../../render/clean.ts";
import type { ReceiptOptions } from "../purchases.ts";
import { connect } from "../shared/connect.ts";
import { printResult } from "../shared/output.ts";
import { assertWritable, type OutputFile, writeOutputFile } from "../shared/outputFile.ts";
import { withSpinner } from "../shared/spinner.ts";

const STDOUT = "-";

/** Prints the receipt of a purchase, or saves it as PDF. */
export async function run(options: ReceiptOptions, context: Context): Promise<void> {
  const { pdf, force } = options;
  if (pdf === null && force) throw usageError("--force is for a file, and there is none", "Name it with --pdf <file>.");
  if (pdf === null) return show(options, context);
  if (pdf === STDOUT) return printPdf(options, context);
  return savePdf({ path: pdf, force }, options, context);
}

async function show(options: ReceiptOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options, "billing");
  const reading = organizationId().then((id) => client.receipt(id, options.purchaseId));
  const receipt = await withSpinner(context, options, "Reading the receipt", reading);
  await printResult(context, options, "purchases receipt", receipt, async (view) => {
    const { renderReceipt } = await import("../../render/receipt.ts");
    return renderReceipt(receipt, view);
  });
}

async function printPdf(options: ReceiptOptions, context: Context): Promise<void> {
  if (options.json)
    throw usageError("--pdf - and --json cannot both write to stdout", "Name a file with --pdf <file>.");
  if (context.io.stdoutIsTerminal) {
    throw usageError(
      "A PDF is not for the terminal",
      "Send it to a file or a program, or name a file with --pdf <file>.",
    );
  }
  const { pdf } = await read(options, context);
  await context.io.print(pdf.bytes);
}

async function savePdf(file: OutputFile, options: ReceiptOptions, context: Context): Promise<void> {
  assertWritable(file);
  const { pdf, receipt } = await read(options, context);
  writeOutputFile(file, pdf.bytes, context);
  const saved = `The receipt is in ${clean(file.path)}`;
  if (receipt === null) await context.io.print(`${saved}\n`);
  else await printResult(context, options, "purchases receipt", { ...receipt, pdf: file.path }, () => saved);
}

/** The PDF, and with `--json` the receipt itself, once both are known to be the same one. */
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
    `The backend was asked for receipt ${receiptNumber} and answered with ${name}`,
  );
}
