import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { errorOf, resultOf } from "../support/cli.ts";
import { temporaryDirectory } from "../support/places.ts";
import { organization, seed } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";

const sandbox = useSandbox({ seed: seed(...[1, 2, 3, 4, 5].map((id) => organization(id))) });

async function saved(id: number): Promise<string> {
  const file = join(await temporaryDirectory(), "quote.json");
  const run = await sandbox.cli(id, ["quote", "5", "--save", file, "--json"]);
  expect(run).toMatchObject({ exitCode: 0, stderr: "" });
  return file;
}

const from = (file: string) => ["buy", "--from", file, "--yes", "--json"];

describe("a quote that is reviewed and bought later", () => {
  test("is a private file that is never overwritten by accident", async () => {
    const file = await saved(1);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const before = await readFile(file, "utf8");
    expect(JSON.parse(before)).toMatchObject({ total: { amount: 24_410 }, purchased: { before: 25, after: 30 } });
    const again = await sandbox.cli(1, ["quote", "6", "--save", file, "--json"]);
    expect(again).toMatchObject({ exitCode: 2, stdout: "" });
    expect(errorOf(again).code).toBe("file_exists");
    expect(await readFile(file, "utf8")).toBe(before);
    expect((await sandbox.cli(1, ["quote", "6", "--save", file, "--force"])).exitCode).toBe(0);
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ licenses: 6 });
  });

  test("is bought once from any machine, even from four at once", { timeout: 60_000 }, async () => {
    const file = await saved(2);
    const runs = await Promise.all([1, 2, 3, 4].map(() => sandbox.cli(2, from(file), { timeout: 50_000 })));
    expect(runs.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(runs.map(() => [0, ""]));
    const later = await sandbox.cli(2, from(file));
    expect(resultOf(later)).toMatchObject({ replayed: true, quote: null });
    const ids = [...runs, later].map((run) => resultOf<{ purchase: { id: string } }>(run).purchase.id);
    expect(new Set(ids).size).toBe(1);
    expect(await sandbox.purchased(2)).toBe(30);
    expect(await sandbox.captures()).toMatchObject([{ amount: 24_410, purchaseId: ids[0] }]);
  });

  test("is rejected with another PO number after it was bought", async () => {
    const file = await saved(3);
    expect((await sandbox.cli(3, [...from(file), "--po", "PO-1"])).exitCode).toBe(0);
    const other = await sandbox.cli(3, [...from(file), "--po", "PO-2"]);
    expect(other).toMatchObject({ exitCode: 2, stdout: "" });
    expect(errorOf(other).code).toBe("idempotency_key_reused");
    expect(await sandbox.purchased(3)).toBe(30);
  });

  test("is outdated after another purchase, or for another organization", async () => {
    const file = await saved(4);
    expect((await sandbox.cli(4, ["buy", "1", "--yes"])).exitCode).toBe(0);
    const stale = await sandbox.cli(4, from(file));
    expect(stale).toMatchObject({ exitCode: 7, stdout: "" });
    expect(errorOf(stale).message).toContain("purchased licenses: 25 in the file, 26 now");
    const elsewhere = await sandbox.cli(5, from(file));
    expect(elsewhere).toMatchObject({ exitCode: 7, stdout: "" });
    expect(errorOf(elsewhere).message).toContain("organization: 4 in the file, 5 now");
    expect(await sandbox.purchases(5)).toEqual([]);
  });

  test("has the same arithmetic on every machine, shown in the reader's locale", async () => {
    const file = join(await temporaryDirectory(), "quote.json");
    const german = { env: { LC_ALL: "de_DE.UTF-8" } };
    const { stdout } = await sandbox.cli(5, ["quote", "50", "--explain", "--save", file], german);
    expect(stdout).toContain("Subtotal: 150,00 £ × 50 × 99 / 365 = 2.034,246575…, rounded 2.034,25 £\n");
    expect(stdout).not.toMatch(/£\d|\d\.\d{2}(?!\d)/);
    const { arithmetic } = JSON.parse(await readFile(file, "utf8"));
    expect(arithmetic[1]).toBe("Subtotal: £150.00 × 50 × 99 / 365 = 2034.246575…, rounded £2,034.25");
  });

  test("is rejected if changed, before anything is sent", async () => {
    const file = await saved(5);
    await writeFile(file, (await readFile(file, "utf8")).replace('"licenses": 5', '"licenses": 500'));
    const run = await sandbox.cli(5, from(file), { env: { SECUREFLAG_API_URL: "http://127.0.0.1:9/v2" } });
    expect(run).toMatchObject({ exitCode: 2, stdout: "" });
    expect(errorOf(run)).toMatchObject({ code: "quote_file_invalid", message: expect.stringContaining("was changed") });
  });
});
