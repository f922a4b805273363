import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { isInstalled } from "./installed.ts";
import { temporaryDirectory } from "./places.ts";

const run = promisify(execFile);

/** Whether poppler-utils is installed. */
export const HAS_POPPLER = isInstalled("pdftotext");

/** The contents of a PDF file. */
export interface PdfReading {
  /** The text layer in reading order, white space as single spaces. */
  readonly text: string;
  readonly pages: number;
  /** The output of `pdfinfo`, by label. */
  readonly info: Readonly<Record<string, string>>;
  /** The output of `pdffonts`, one line per font. */
  readonly fonts: readonly string[];
}

/** Reads a PDF with poppler. */
export async function readPdf(pdf: Uint8Array): Promise<PdfReading> {
  const path = join(await temporaryDirectory(), "file.pdf");
  await writeFile(path, pdf);
  const [text, infoOutput, fonts] = await Promise.all([
    run("pdftotext", [path, "-"]),
    run("pdfinfo", ["-isodates", path]),
    run("pdffonts", [path]),
  ]);
  const info = Object.fromEntries(
    infoOutput.stdout.split("\n").map((line) => line.split(/:\s+/, 2) as [string, string]),
  );
  return {
    text: text.stdout.replace(/\s+/g, " "),
    pages: Number(info.Pages),
    info,
    fonts: fonts.stdout.trim().split("\n").slice(2),
  };
}
