import { existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import { API_URL, creditNote, receipt } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { temporaryDirectory } from "../support/machine.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const TOKEN = { SECUREFLAG_API_TOKEN: "sfl_secret_x_ci", SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" };

const BYTES = Buffer.from("%PDF-1.7 made up %%EOF");

const pdfOf = (name: string | null = "receipt-4201-000001.pdf"): ExpectedCall => ({
  call: "receiptPdf",
  with: [4201, "pur_1"],
  gives: { bytes: BYTES, name },
});

const JSON_RECEIPT: ExpectedCall = { call: "receipt", with: [4201, "pur_1"], gives: receipt() };

async function play(args: readonly string[], script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env: TOKEN, ...world, client: scripted.client });
  const code = await runProgram(["purchases", "receipt", "pur_1", ...args], context);
  scripted.assertDone();
  return { code, context, ...context.written };
}

describe("purchases receipt --pdf", () => {
  it("writes a file that only its owner can read, and says where", async () => {
    const path = join(temporaryDirectory(), "receipt.pdf");
    expect(await play(["--pdf", path], [pdfOf()])).toMatchObject({
      code: 0,
      stdout: `Saved the receipt to ${path}\n`,
      stderr: "",
    });
    expect(readFileSync(path).equals(BYTES)).toBe(true);
    expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
    expect(readdirSync(join(path, ".."))).toEqual(["receipt.pdf"]);
  });

  it("prints the receipt and the file's path with --json", async () => {
    const path = join(temporaryDirectory(), "receipt.pdf");
    const { code, stdout } = await play(["--pdf", path, "--json"], [JSON_RECEIPT, pdfOf()]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual({ ...receipt(), pdf: path });
    expect(existsSync(path)).toBe(true);
  });

  it("writes nothing if the PDF is for another receipt; accepts one without a name", async () => {
    const path = join(temporaryDirectory(), "receipt.pdf");
    const other = await play(["--pdf", path, "--json"], [JSON_RECEIPT, pdfOf("receipt-4201-000002.pdf")]);
    expect({ code: other.code, there: existsSync(path) }).toEqual({ code: 1, there: false });
    expect(await play(["--pdf", path, "--json"], [JSON_RECEIPT, pdfOf(null)])).toMatchObject({ code: 0 });
  });

  it("writes the bytes to stdout, but never to a terminal or together with --json", async () => {
    expect(await play(["--pdf", "-"], [pdfOf()])).toMatchObject({ code: 0, stdout: BYTES.toString() });
    const scripted = scriptedClient([]);
    const context = fakeContext({ env: TOKEN, client: scripted.client });
    const terminal = { ...context, io: { ...context.io, stdoutIsTerminal: true } };
    expect(await runProgram(["purchases", "receipt", "pur_1", "--pdf", "-"], terminal)).toBe(2);
    expect(context.written).toEqual({
      stdout: "",
      stderr: expect.stringContaining("Cannot write a PDF to a terminal"),
    });
    expect(await play(["--pdf", "-", "--json"], [])).toMatchObject({ code: 2, stdout: "" });
  });

  it("replaces a file only with --force, and otherwise requests nothing", async () => {
    const path = join(temporaryDirectory(), "receipt.pdf");
    writeFileSync(path, "old");
    const refused = await play(["--pdf", path], []);
    expect(refused).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("--force") });
    expect(JSON.parse((await play(["--pdf", path, "--json"], [])).stderr).error.code).toBe("file_exists");
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(await play(["--pdf", path, "--force"], [pdfOf()])).toMatchObject({ code: 0 });
    expect(readFileSync(path).equals(BYTES)).toBe(true);
    expect((statSync(path).mode & 0o777).toString(8)).toBe("600");
  });

  it("does not replace a file that appears during the request", async () => {
    const path = join(temporaryDirectory(), "receipt.pdf");
    const appearing: ExpectedCall = {
      call: "receiptPdf",
      get gives() {
        writeFileSync(path, "somebody else's");
        return { bytes: BYTES, name: null };
      },
    };
    const { code, stderr } = await play(["--pdf", path], [appearing]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("exists") });
    expect(readFileSync(path, "utf8")).toBe("somebody else's");
    expect(readdirSync(join(path, ".."))).toEqual(["receipt.pdf"]);
  });

  it.each<[string, (directory: string) => string, string]>([
    ["a directory", (directory) => directory, "it is a directory"],
    ["a missing directory", (directory) => join(directory, "none", "receipt.pdf"), "its directory does not exist"],
    [
      "a file as a directory",
      (directory) => {
        writeFileSync(join(directory, "file"), "");
        return join(directory, "file", "receipt.pdf");
      },
      "its directory does not exist",
    ],
    ["a directory name", (directory) => join(directory, "none/"), "it names a directory"],
    [
      "a link",
      (directory) => {
        symlinkSync(join(directory, "elsewhere"), join(directory, "link"));
        return join(directory, "link");
      },
      "it is not a file",
    ],
    ["a device", () => "/dev/null", "it is not a file"],
    ["a name too long", (directory) => join(directory, "x".repeat(300)), "its name is too long"],
  ])("rejects %s before any request, even with --force", async (_, pathIn, reason) => {
    const directory = temporaryDirectory();
    const path = pathIn(directory);
    const before = readdirSync(directory);
    const { code, stderr } = await play(["--pdf", path, "--force", "--json"], []);
    expect({ code, error: JSON.parse(stderr).error }).toMatchObject({ code: 2, error: { code: "file_not_written" } });
    expect(stderr).toContain(reason);
    expect(readdirSync(directory)).toEqual(before);
  });

  it.each([
    ["font_missing", 406, 2],
    ["not_found", 404, 2],
    ["unexpected_answer", 200, 1],
  ] as const)("leaves no file behind after %s", async (code, status, exitCode) => {
    const directory = temporaryDirectory();
    const fails = new ClientError(code, "No", { status });
    const result = await play(["--pdf", join(directory, "receipt.pdf")], [{ call: "receiptPdf", fails }]);
    expect(result).toMatchObject({ code: exitCode, stdout: "" });
    expect(readdirSync(directory)).toEqual([]);
  });

  it.each([
    ["--force alone", ["--force"]],
    ["an empty name", ["--pdf", ""]],
    ["no name", ["--pdf"]],
  ])("rejects %s", async (_, args) => {
    expect(await play(args, [])).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("purchases receipt --credit-note", () => {
  const note: ExpectedCall = { call: "creditNote", with: [4201, "pur_1"], gives: creditNote() };
  const notePdf = (name = "credit-note-CN-4201-000001.pdf"): ExpectedCall => ({
    call: "creditNotePdf",
    with: [4201, "pur_1"],
    gives: { bytes: BYTES, name },
  });

  it("prints what was refunded, to whom and for which receipt", async () => {
    const { code, stdout } = await play(["--credit-note"], [note]);
    expect(code).toBe(0);
    for (const part of [
      "CN-4201-000001",
      "4201-000001 of 2026-11-22",
      "Total refunded",
      "GB999999973",
      "2 High Street",
    ]) {
      expect(stdout).toContain(part);
    }
    expect(JSON.parse((await play(["--credit-note", "--json"], [note])).stdout)).toEqual(creditNote());
  });

  it("is saved as PDF, unless it is another's", async () => {
    const path = join(temporaryDirectory(), "note.pdf");
    const other = await play(["--credit-note", "--pdf", path, "--json"], [note, notePdf("receipt-4201-000001.pdf")]);
    expect({ code: other.code, there: existsSync(path) }).toEqual({ code: 1, there: false });
    expect(await play(["--credit-note", "--pdf", path], [notePdf()])).toMatchObject({
      code: 0,
      stdout: `Saved the credit note to ${path}\n`,
    });
    expect(readFileSync(path).equals(BYTES)).toBe(true);
  });
});
