import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { isInstalled } from "./installed.ts";
import { temporaryDirectory } from "./places.ts";

const run = promisify(execFile);

/** Whether poppler-utils can look into PDF files. */
export const HAS_POPPLER = isInstalled("pdftotext");

/** What a PDF reader finds in a file. */
export interface PdfReading {
  /** The text layer in reading order, white space as single spaces. */
  readonly text: string;
  readonly pages: number;
  /** What `pdfinfo` tells, by its labels. */
  readonly info: Readonly<Record<string, string>>;
  /** What `pdffonts` tells, one line a font. */
  readonly fonts: readonly string[];
}

/** Reads a PDF with poppler. */
export async function readPdf(pdf: Uint8Array): Promise<PdfReading> {
  const path = join(await temporaryDirectory(), "file.pdf");
  await writeFile(path, pdf);
  const [text, told, fonts] = await Promise.all([
    run("pdftotext", [path, "-"]),
    run("pdfinfo", ["-isodates", path]),
    run("pdffonts", [path]),
  ]);
  const info = Object.fromEntries(told.stdout.split("\n").map((line) => line.split(/:\s+/, 2) as [string, string]));
  return {
    text: text.stdout.replace(/\s+/g, " "),
    pages: Number(info.Pages),
    info,
    fonts: fonts.stdout.trim().split("\n").slice(2),
  };
}
