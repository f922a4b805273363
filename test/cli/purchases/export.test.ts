import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { indexCsv } from "../../../src/cli/purchases/export.ts";
import { ClientError } from "../../../src/client/errors.ts";
import type { Purchase } from "../../../src/contract/billing.ts";
import { API_URL, purchase, receipt, subscription } from "../support/builders.ts";
import { fakeContext } from "../support/fakeContext.ts";
import { temporaryDirectory } from "../support/machine.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const TOKEN = { SECUREFLAG_API_TOKEN: "sfl_secret_x_ci", SECUREFLAG_API_URL: API_URL, SECUREFLAG_ORGANIZATION: "4201" };

const pdf = (number: string) => Buffer.from(`%PDF-1.7 ${number} %%EOF`);

const sha = (number: string) => createHash("sha256").update(pdf(number)).digest("hex");

const bought = (count: number, change: Partial<Purchase> = {}): Purchase => {
  const { organizationLicenses: _, ...made } = purchase({
    id: `pur_${count}`,
    receiptNumber: `4201-${String(count).padStart(6, "0")}`,
    completedAt: `2026-11-${String(count).padStart(2, "0")}T10:00:00Z`,
    purchaseOrder: null,
  });
  return { ...made, ...change };
};

const refunded = bought(2, {
  status: "failed",
  completedAt: "2026-11-05T10:00:00Z",
  refund: { amount: bought(2).total, creditNoteNumber: "CN-4201-000001", refundedAt: "2026-11-05T10:00:00Z" },
});

const listing = (...items: Purchase[]): ExpectedCall[] => [
  { call: "subscription", gives: subscription() },
  { call: "purchases", gives: { items, next: null } },
];

const receiptOf = (id: string, issuedAt: string): ExpectedCall => ({
  call: "receipt",
  with: [4201, id],
  gives: receipt({ issuedAt }),
});

const receiptPdf = (count: number, number = `4201-${String(count).padStart(6, "0")}`): ExpectedCall => ({
  call: "receiptPdf",
  with: [4201, `pur_${count}`],
  gives: { bytes: pdf(number), name: `receipt-${number}.pdf` },
});

const undrawn = (count: number): ExpectedCall => ({
  call: "receiptPdf",
  with: [4201, `pur_${count}`],
  fails: new ClientError("font_missing", "The receipt has Hebrew letters, which no font covers."),
});

const creditPdf: ExpectedCall = {
  call: "creditNotePdf",
  with: [4201, "pur_2"],
  gives: { bytes: pdf("CN-4201-000001"), name: "credit-note-CN-4201-000001.pdf" },
};

async function play(dir: string, script: readonly ExpectedCall[], ...more: string[]) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env: TOKEN, client: scripted.client });
  const period = ["--from", "2026-11-01", "--to", "2026-11-30", "--dir", dir, ...more];
  const code = await runProgram(["purchases", "export", ...period], context);
  scripted.assertDone();
  return { code, ...context.written };
}

const HEAD = "number,date,kind,licenses,net,tax,total,currency,purchaseOrder,sha256";

describe("purchases export", () => {
  it("saves every receipt and credit note of the period, with an index, private", async () => {
    const dir = join(temporaryDirectory(), "new", "receipts");
    const october = bought(9, { completedAt: "2026-10-31T12:00:00Z" });
    const unpaid = bought(8, { receiptNumber: null, status: "failed", completedAt: null });
    const script = [
      ...listing(bought(3, { purchaseOrder: "PO-1" }), refunded, unpaid, october),
      receiptOf("pur_2", "2026-11-04T10:00:00Z"),
      receiptPdf(3),
      receiptPdf(2),
      creditPdf,
    ];
    const { code, stdout, stderr } = await play(dir, script);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toBe(`Exported 2 receipts and 1 credit note to ${dir}.\n`);
    const files = ["2026-11-03_4201-000003.pdf", "2026-11-04_4201-000002.pdf", "2026-11-05_CN-4201-000001.pdf"];
    expect(readdirSync(dir).sort()).toEqual([...files, "index.csv"]);
    expect(readFileSync(join(dir, "index.csv"), "utf8").split("\n")).toEqual([
      HEAD,
      `4201-000003,2026-11-03,receipt,5,203.42,40.68,244.10,GBP,PO-1,${sha("4201-000003")}`,
      `4201-000002,2026-11-04,receipt,5,203.42,40.68,244.10,GBP,,${sha("4201-000002")}`,
      `CN-4201-000001,2026-11-05,credit_note,-5,-203.42,-40.68,-244.10,GBP,,${sha("CN-4201-000001")}`,
      "",
    ]);
    for (const file of files) expect((statSync(join(dir, file)).mode & 0o777).toString(8)).toBe("600");
    expect((statSync(dir).mode & 0o777).toString(8)).toBe("700");
  });

  it("goes on where it was cut, and asks for nothing that the index vouches for", async () => {
    const dir = temporaryDirectory();
    const fails = new ClientError("unreachable", "Gone");
    const cut = await play(dir, [...listing(bought(1), bought(2)), receiptPdf(1), { call: "receiptPdf", fails }]);
    expect(cut).toMatchObject({ code: 10, stdout: "" });
    writeFileSync(join(dir, "2026-11-02_4201-000002.pdf.77.tmp"), "half");
    expect(existsSync(join(dir, "index.csv"))).toBe(false);
    const second = await play(dir, [...listing(bought(1), bought(2)), receiptPdf(1), receiptPdf(2)], "--json");
    expect(JSON.parse(second.stdout).documents).toMatchObject([
      { number: "4201-000001", kind: "receipt", existed: true, sha256: sha("4201-000001") },
      { number: "4201-000002", kind: "receipt", existed: false, file: "2026-11-02_4201-000002.pdf" },
    ]);
    expect(readdirSync(dir).sort()).toEqual(["2026-11-01_4201-000001.pdf", "2026-11-02_4201-000002.pdf", "index.csv"]);
    const index = readFileSync(join(dir, "index.csv"));
    expect(await play(dir, listing(bought(1), bought(2)))).toMatchObject({
      code: 0,
      stdout: `Exported 2 receipts and 0 credit notes to ${dir}. 2 of them were there already.\n`,
    });
    expect(readFileSync(join(dir, "index.csv")).equals(index)).toBe(true);
  });

  it("saves all others if the backend cannot draw one, and names it", async () => {
    const dir = temporaryDirectory();
    const script = [...listing(bought(1), bought(2), bought(3)), receiptPdf(1), undrawn(2), receiptPdf(3)];
    const { code, stdout, stderr } = await play(dir, script);
    expect({ code, stdout }).toEqual({ code: 2, stdout: `Exported 2 receipts and 0 credit notes to ${dir}.\n` });
    expect(stderr.replaceAll(/\s+/g, " ")).toContain("Not saved: 4201-000002. The receipt has Hebrew letters");
    expect(readFileSync(join(dir, "index.csv"), "utf8").split("\n")[2]).toBe(
      "4201-000002,2026-11-02,receipt,5,203.42,40.68,244.10,GBP,,",
    );
    const again = await play(dir, [...listing(bought(1), bought(2), bought(3)), receiptPdf(2)], "--json");
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout).documents[1]).toMatchObject({ existed: false, sha256: sha("4201-000002") });
  });

  it("never overwrites a PDF that differs, or something else of its name", async () => {
    const dir = temporaryDirectory();
    const path = join(dir, "2026-11-01_4201-000001.pdf");
    writeFileSync(path, "mine");
    const { code, stderr } = await play(dir, [...listing(bought(1)), receiptPdf(1)], "--json");
    expect({ code, error: JSON.parse(stderr).error }).toMatchObject({ code: 2, error: { code: "file_exists" } });
    expect(readFileSync(path, "utf8")).toBe("mine");
    expect(readdirSync(dir)).toEqual(["2026-11-01_4201-000001.pdf"]);
    const other = temporaryDirectory();
    mkdirSync(join(other, "2026-11-01_4201-000001.pdf"));
    expect((await play(other, listing(bought(1)))).code).toBe(2);
  });

  it.each<[string, Purchase, ExpectedCall[]]>([
    ["a number that is a path", bought(1, { receiptNumber: "../../x" }), []],
    ["the PDF of another receipt", bought(1), [receiptPdf(1, "4201-000009")]],
  ])("refuses %s, and writes nothing", async (_, item, script) => {
    const dir = temporaryDirectory();
    expect((await play(dir, [...listing(item), ...script])).code).toBe(1);
    expect(readdirSync(dir)).toEqual([]);
  });

  it.each([
    ["a period that ends before it starts", ["--to", "2026-10-01"]],
    ["a date that is none", ["--from", "2026-02-30"]],
    ["an empty directory name", ["--dir", ""]],
  ])("refuses %s", async (_, args) => {
    expect(await play(temporaryDirectory(), [], ...args)).toMatchObject({ code: 2, stdout: "" });
  });

  it("takes a period in the future, and one without documents", async () => {
    const dir = temporaryDirectory();
    const { code } = await play(dir, listing(), "--to", "2099-12-31");
    expect({ code, index: readFileSync(join(dir, "index.csv"), "utf8") }).toEqual({ code: 0, index: `${HEAD}\n` });
  });
});

it("the index adds up to receipts less credit notes, and no cell is a formula", () => {
  const amounts = fc.record({ net: fc.nat(1e9), tax: fc.nat(1e9), licenses: fc.nat(1e4) });
  const text = fc.string({ unit: fc.constantFrom(...'=+-@\t\r\n",;\u001b\u202ex'.split("")), minLength: 1 });
  const made = fc.record({ amounts, kind: fc.constantFrom("receipt", "credit_note"), purchaseOrder: fc.option(text) });
  const currency = fc.constantFrom<[string, number]>(["GBP", 2], ["JPY", 0], ["KWD", 3]);
  fc.assert(
    fc.property(fc.array(made), currency, (documents, [code, digits]) => {
      const money = (amount: number) => ({ amount, currency: code });
      const rows = parse(
        indexCsv(
          documents.map(({ amounts: { net, tax, licenses }, kind, purchaseOrder }, index) => ({
            ...{ number: `1-${index}`, date: "2026-11-22", kind: kind as "receipt", purchaseId: "pur_1", licenses },
            ...{ net: money(net), tax: money(tax), total: money(net + tax), purchaseOrder },
            ...{ file: "f", sha256: "0", existed: false },
          })),
        ),
        { columns: true },
      ) as Record<string, string>[];
      const minor = (value = "") => BigInt(value.replace(".", ""));
      const sum = (column: string) => rows.reduce((all, row) => all + minor(row[column]), 0n);
      const expected = (of: (amounts: { net: number; tax: number }) => number) =>
        documents.reduce((all, each) => all + BigInt(each.kind === "receipt" ? 1 : -1) * BigInt(of(each.amounts)), 0n);
      expect([sum("net"), sum("tax"), sum("total")]).toEqual([
        expected(({ net }) => net),
        expected(({ tax }) => tax),
        expected(({ net, tax }) => net + tax),
      ]);
      for (const row of rows) {
        expect(row.total).toMatch(digits === 0 ? /^-?\d+$/ : new RegExp(`^-?\\d+\\.\\d{${digits}}$`));
        expect(row.purchaseOrder).not.toMatch(/^\s*[=+\-@\t\r]|[\p{Control}\p{Bidi_Control}]/u);
      }
    }),
  );
});
