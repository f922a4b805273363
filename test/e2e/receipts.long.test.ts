import { execFile } from "node:child_process";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { BIN, clearedEnvironment, temporaryDirectory } from "../support/places.ts";
import { HAS_POPPLER, readPdf } from "../support/poppler.ts";
import { environmentFor } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import { runInTerminal } from "../support/terminal.ts";
import { useSandbox } from "../support/useSandbox.ts";

const POUNDS = 1;
const YEN = 2;
const DINARS = 3;
const JAPANESE = 4;

const sandbox = useSandbox({
  seed: seed(
    organization(POUNDS, { name: "Łódź, Αθήνα, Київ" }),
    organization(YEN, { subscription: { unitPrice: { amount: 15_000, currency: "JPY" }, taxRate: "10" } }),
    organization(DINARS, { subscription: { unitPrice: { amount: 150_000, currency: "KWD" }, taxRate: "8.875" } }),
    organization(JAPANESE, { name: "株式会社テスト" }),
  ),
});

interface Bought {
  purchase: { id: string; receiptNumber: string; total: { amount: number } };
}

async function buy(id: number, ...more: string[]): Promise<Bought["purchase"]> {
  return resultOf<Bought>(await sandbox.cli(id, ["buy", "5", "--yes", "--json", ...more])).purchase;
}

/** The bytes that `--pdf -` writes through a pipe. */
async function piped(id: number, purchaseId: string): Promise<Buffer> {
  const env = clearedEnvironment(await temporaryDirectory(), environmentFor(sandbox.ready.url, id));
  const args = [BIN, "purchases", "receipt", purchaseId, "--pdf", "-"];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, encoding: "buffer" });
  return stdout;
}

describe("a receipt as PDF", () => {
  test("is saved complete and private, identical to stdout and HTTP", async () => {
    const { id, receiptNumber } = await buy(POUNDS);
    const path = join(await temporaryDirectory(), "receipt.pdf");
    const saved = await sandbox.cli(POUNDS, ["purchases", "receipt", id, "--pdf", path, "--json"]);
    expect(resultOf(saved)).toMatchObject({ receiptNumber, purchaseId: id, pdf: path });
    expect(((await stat(path)).mode & 0o777).toString(8)).toBe("600");
    const bytes = await readFile(path);
    expect(bytes.toString("latin1", 0, 5)).toBe("%PDF-");
    expect((await piped(POUNDS, id)).equals(bytes)).toBe(true);

    const url = `${sandbox.ready.url}/organizations/${POUNDS}/purchases/${id}/receipt`;
    const { SECUREFLAG_API_TOKEN: token } = environmentFor(url, POUNDS);
    const headers = { authorization: `Bearer ${token}`, accept: "application/pdf" };
    const answer = await fetch(url, { headers });
    expect(answer.headers.get("content-type")).toBe("application/pdf");
    expect(answer.headers.get("content-disposition")).toBe('attachment; filename="receipt-1-000001.pdf"');
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
  });

  test.skipIf(!HAS_POPPLER).each([
    [POUNDS, ["£150.00", "£203.42", "£40.68", "£244.10"]],
    [YEN, ["¥15,000", "¥20,342", "¥2,034", "¥22,376"]],
    [DINARS, ["KWD 150.000", "KWD 203.425", "KWD 18.054", "KWD 221.479"]],
  ])("shows what was paid, organization %i", async (organizationId, figures) => {
    const { id } = await buy(organizationId, "--po", "PO-7781", "--note", "n".repeat(500));
    const { text, pages } = await readPdf(await piped(organizationId, id));
    const said = [
      ...figures,
      "PO-7781",
      "99 / 365 days",
      organizationId === POUNDS ? "Łódź, Αθήνα, Київ" : "Northwind",
    ];
    expect(said.filter((part) => !text.includes(part))).toEqual([]);
    expect(pages).toBe(1);
  });

  test("in a script without an installed font names the package, and leaves no file", async () => {
    const { id } = await buy(JAPANESE);
    const directory = await temporaryDirectory();
    const args = ["purchases", "receipt", id, "--pdf", join(directory, "receipt.pdf"), "--json"];
    const run = await sandbox.cli(JAPANESE, args);
    expect(run).toMatchObject({ exitCode: 2, stdout: "" });
    expect(errorOf(run)).toMatchObject({
      code: "font_missing",
      message: expect.stringContaining("npm install -g @fontsource/noto-sans-jp"),
    });
    expect(await readdir(directory)).toEqual([]);
    const shown = await sandbox.cli(JAPANESE, ["purchases", "receipt", id]);
    expect(shown.stdout).toContain("株式会社テスト");
  });

  test("is never printed to a terminal", async () => {
    const env = environmentFor(sandbox.ready.url, POUNDS);
    const terminal = await runInTerminal(["purchases", "receipt", "pur_1", "--pdf", "-"], { env });
    expect(await terminal.exitCode()).toBe(2);
    expect(terminal.screen()).toContain("Cannot write a PDF to a terminal");
  });

  test("passes through a pipe complete, however large", async () => {
    const pdf = `%PDF-1.7\n${"x".repeat(900_000)}\n%%EOF\n`;
    const server = createServer((_request, response) => {
      response.writeHead(200, { "content-type": "application/pdf" }).end(pdf);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rest/management/v2`;
    const args = ["purchases", "receipt", "pur_1", "--pdf", "-"];
    const { exitCode, stdout } = await runCli(args, { env: environmentFor(url, POUNDS) });
    server.close();
    expect({ exitCode, whole: stdout === pdf }).toEqual({ exitCode: 0, whole: true });
  });
});

describe("an export", () => {
  const args = (dir: string) => ["purchases", "export", "--from", "2026-01-01", "--to", "2099-12-31", "--dir", dir];

  test("that was killed goes on, and its index adds up", async () => {
    const bought = [await buy(POUNDS, "--po", '=HYPERLINK("x")'), await buy(POUNDS)];
    const dir = join(await temporaryDirectory(), "receipts");
    const killed = await sandbox.cli(POUNDS, args(dir), { env: { SECUREFLAG_CRASH_AT: "C6" } });
    expect({ exitCode: killed.exitCode, stdout: killed.stdout }).not.toMatchObject({ exitCode: 0 });
    expect(await readdir(dir)).toEqual([expect.stringMatching(/\.pdf\.\d+\.tmp$/)]);

    const { documents } = resultOf<{ documents: { number: string; file: string }[] }>(
      await sandbox.cli(POUNDS, [...args(dir), "--json"]),
    );
    const numbers = documents.map(({ number }) => number);
    expect(numbers).toEqual(expect.arrayContaining(bought.map(({ receiptNumber }) => receiptNumber)));
    expect((await readdir(dir)).sort()).toEqual([...documents.map(({ file }) => file), "index.csv"].sort());
    const index = await readFile(join(dir, "index.csv"), "utf8");
    expect(index).toContain('"\'=HYPERLINK(""x"")"');
    const rows = index.trimEnd().split("\n").slice(1);
    expect(rows.map((row) => row.split(",")[6])).toEqual(numbers.map(() => "244.10"));

    const path = join(dir, documents[0]?.file ?? "");
    await writeFile(path, "another");
    const differs = await sandbox.cli(POUNDS, [...args(dir), "--json"]);
    expect([differs.exitCode, errorOf(differs).code, await readFile(path, "utf8")]).toEqual([
      2,
      "file_exists",
      "another",
    ]);
    expect(await readFile(join(dir, "index.csv"), "utf8")).toBe(index);
  });

  test("shows how far it is in a terminal", async () => {
    const dir = join(await temporaryDirectory(), "receipts");
    const terminal = await runInTerminal(args(dir), { env: environmentFor(sandbox.ready.url, POUNDS) });
    await terminal.waitForText(/Exporting [█░]+ \d+ of \d+|Exported/);
    expect(await terminal.exitCode()).toBe(0);
    expect(terminal.screen()).toContain("Exported");
  });
});
