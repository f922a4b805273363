import { describe, expect, test } from "vitest";
import { readPdfAnswer } from "../../src/client/pdf.ts";
import { operations } from "../../src/contract/operations/index.ts";
import { receipt } from "../cli/support/builders.ts";
import { type Answer, startBackend, testClient } from "./backend.ts";

const WHOLE = `%PDF-1.7\n${"x".repeat(100)}\n%%EOF\n`;

function read(status: number, body: string, headers: Record<string, string>) {
  return readPdfAnswer(operations.getReceipt, { kind: "answer", status, headers, body: Buffer.from(body) });
}

describe("a response to a PDF request", () => {
  const pdf = { "content-type": "application/pdf" };
  const json = { "content-type": "application/json; charset=utf-8" };

  test.each([
    ['attachment; filename="receipt-1-000001.pdf"', "receipt-1-000001.pdf"],
    ["inline", null],
    [undefined, null],
  ])("is the file, named by %s", (disposition, name) => {
    const headers = { ...pdf, ...(disposition && { "content-disposition": disposition }) };
    expect(read(200, WHOLE, headers)).toEqual({ kind: "success", value: { bytes: Buffer.from(WHOLE), name } });
  });

  test.each([
    ["a file that is not a PDF", "<html>", pdf, true],
    ["a truncated PDF", WHOLE.slice(0, 50), pdf, true],
    ["an empty body", "", pdf, true],
    ["a compressed PDF", WHOLE, { ...pdf, "content-encoding": "gzip" }, false],
    ["a PDF with another content type", WHOLE, { "content-type": "application/octet-stream" }, false],
    ["an HTML page", "<html>", { "content-type": "text/html" }, false],
  ])("%s is unexpected", (_, body, headers, broken) => {
    expect(read(200, body, headers)).toMatchObject({ kind: "nonsense", broken });
  });

  test.each([
    ["the receipt as JSON", 200, JSON.stringify(receipt()), json],
    ["406 without a code", 406, "", {}],
    ["406 with a page", 406, "<html>", { "content-type": "text/html" }],
  ])("%s means that the backend does not make PDFs", (_, status, body, headers) => {
    expect(read(status, body, headers)).toEqual({ kind: "other_form" });
  });

  test("a problem is reported as such", () => {
    const body = JSON.stringify({ code: "font_missing", detail: "Install it" });
    const problem = { "content-type": "application/problem+json" };
    expect(read(406, body, problem)).toMatchObject({ kind: "problem", code: "font_missing" });
  });
});

describe("the client", () => {
  const pdf =
    (body: string): Answer =>
    (response) => {
      response.writeHead(200, { "content-type": "application/pdf" }).end(body);
    };

  test("requests a PDF, and again if it was truncated", async () => {
    await using backend = await startBackend(pdf(WHOLE.slice(0, 60)), pdf(WHOLE));
    const { client } = testClient(backend.apiUrl);
    expect((await client.receiptPdf(1, "pur_1")).bytes.toString()).toBe(WHOLE);
    expect(backend.seen.map(({ headers }) => headers.accept)).toEqual(
      Array(2).fill("application/pdf, application/problem+json"),
    );
  });

  test("reports that the backend does not make PDFs", async () => {
    await using backend = await startBackend({ status: 200, json: receipt() });
    const { client } = testClient(backend.apiUrl);
    await expect(client.receiptPdf(1, "pur_1")).rejects.toMatchObject({
      code: "unexpected_answer",
      message: "This backend does not offer receipts as PDF",
      hint: expect.stringContaining("--json"),
    });
  });

  test("rejects more than 1 MB", async () => {
    await using backend = await startBackend(pdf(`%PDF-${"x".repeat(1_000_001)}`));
    const { client } = testClient(backend.apiUrl);
    await expect(client.receiptPdf(1, "pur_1")).rejects.toMatchObject({ code: "unexpected_answer" });
  });
});
