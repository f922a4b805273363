import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { BIN, temporaryDirectory } from "../support/places.ts";
import { environmentFor } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";

const sandbox = useSandbox({ seed: seed(...[1, 2].map((id) => organization(id))) });

describe("scripting", () => {
  test("a quote goes from stdout to stdin and is bought once", async () => {
    const saved = await sandbox.cli(1, ["quote", "5", "--save", "-"]);
    expect(saved).toMatchObject({ exitCode: 0, stderr: "" });
    expect(JSON.parse(saved.stdout)).toMatchObject({ kind: "secureflag-licenses quote", licenses: 5 });
    const buy = ["buy", "--from", "-", "--yes"];
    expect(await sandbox.cli(1, ["buy", "--from", "-"], { input: saved.stdout })).toMatchObject({ exitCode: 2 });
    for (const replayed of [false, true]) {
      const run = await sandbox.cli(1, [...buy, "--json"], { input: saved.stdout });
      expect(run.exitCode).toBe(0);
      expect(resultOf(run)).toMatchObject({ replayed });
    }
    expect(await sandbox.purchased(1)).toBe(30);
    expect((await sandbox.cli(1, buy, { input: "x" })).exitCode).toBe(2);
  });

  test("an event log and a page go to stdout whole, and the log is verified from stdin", async () => {
    const log = await sandbox.cli(1, ["events", "export", "-"]);
    expect(log).toMatchObject({ exitCode: 0, stderr: expect.stringMatching(/^Exported \d+ events?\.\n$/) });
    const verified = await runCli(["events", "verify", "-"], { input: log.stdout });
    expect(verified).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("The file is consistent") });
    const cut = await runCli(["events", "verify", "-", "--json"], { input: log.stdout.slice(0, 300) });
    expect(errorOf(cut)).toMatchObject({ code: "events_tampered", exitCode: 7 });
    const page = await sandbox.cli(1, ["report", "--html", "-"]);
    expect(page.exitCode).toBe(0);
    expect(page.stdout).toMatch(/^<!doctype html>[\s\S]*<\/html>\s*$/i);
  });

  test.each([
    [["quote", "5", "--save", "-", "--json"]],
    [["quote", "5", "--save", "-", "--explain"]],
    [["report", "--html", "-", "--json"]],
    [["report", "--html", "-", "--csv"]],
    [["events", "export", "-", "--json"]],
    [["events", "verify", "-", "--checkpoint", "-"]],
    [["events", "verify", "log.jsonl", "--checkpoint", "-", "--key", "-"]],
  ])("%j exits with 2", async (args) => {
    expect(await sandbox.cli(1, args)).toMatchObject({ exitCode: 2, stdout: "" });
  });

  test("api reads, refuses to change without consent, and buys once under a key", async () => {
    const me = await sandbox.cli(2, ["api", "GET", "/me", "--json"]);
    expect(me).toMatchObject({ exitCode: 0, stderr: "" });
    expect(resultOf(me)).toMatchObject({ organizations: [{ id: 2 }] });
    expect(me.stdout.trimEnd()).not.toContain("\n");
    const post = ["api", "POST", "/organizations/{org}/quotes", "--body", "-"];
    const input = '{"licenses": 5}';
    expect(await sandbox.cli(2, post, { input })).toMatchObject({ exitCode: 2, stdout: "" });
    const quote = resultOf<{ id: string }>(await sandbox.cli(2, [...post, "--yes"], { input }));
    const body = join(await temporaryDirectory(), "purchase.json");
    await writeFile(body, JSON.stringify({ quoteId: quote.id }));
    const buy = ["api", "POST", "/organizations/{org}/purchases", "--body", body, "--yes"];
    expect((await sandbox.cli(2, buy)).exitCode).toBe(2);
    for (let time = 0; time < 2; time += 1) {
      const run = await sandbox.cli(2, [...buy, "--idempotency-key", "scripting-1"]);
      expect([run.exitCode, run.stderr]).toEqual([0, ""]);
    }
    expect(await sandbox.purchased(2)).toBe(30);
    const refused = await sandbox.cli(2, ["api", "GET", "/organizations/{org}/purchases/pur_00000000", "--json"]);
    expect(refused).toMatchObject({ exitCode: 2, stdout: "" });
    expect(errorOf(refused)).toMatchObject({ code: "not_found" });
    const list = resultOf<{ items: { id: string }[] }>(
      await sandbox.cli(2, ["api", "GET", "/organizations/2/purchases?limit=5"]),
    );
    const pdf = join(await temporaryDirectory(), "receipt.pdf");
    const receipt = `/organizations/2/purchases/${list.items[0]?.id}/receipt`;
    expect((await sandbox.cli(2, ["api", "GET", receipt, "--pdf", "--output", pdf])).exitCode).toBe(0);
    expect((await readFile(pdf, "latin1")).slice(0, 5)).toBe("%PDF-");
  });

  test("more than a pipe holds arrives whole at a slow reader", async () => {
    const schema = await sandbox.cli(1, ["api", "GET", "/openapi.json"]);
    expect(schema.stdout.length).toBeGreaterThan(65_536);
    const shell = `"$0" "$1" api GET /openapi.json | { read -r -n 1 first; sleep 1; wc -c; }`;
    const { stdout } = await execa("bash", ["-c", shell, process.execPath, BIN], {
      env: environmentFor(sandbox.ready.url, 1),
    });
    expect(Number(stdout)).toBe(Buffer.byteLength(schema.stdout) - 1);
  });

  test("help schema needs nothing beside the program", async () => {
    const run = await runCli(["help", "schema", "purchases", "list"]);
    expect(run).toMatchObject({ exitCode: 0, stderr: "" });
    expect(JSON.parse(run.stdout).$id).toMatch(/schemas\/purchases-list\.json$/);
  });
});
