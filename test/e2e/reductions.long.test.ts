import { existsSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { FaultProxy } from "../support/faultProxy.ts";
import { environmentFor } from "../support/sandbox.ts";
import { ADMIN, organization, seed, token } from "../support/seed.ts";
import { KEYS, runInTerminal, type TerminalRun } from "../support/terminal.ts";
import { useSandbox } from "../support/useSandbox.ts";

const READ_ONLY = 9;
const CONFIRMATION = /\(y\/N\)/i;

let proxy: FaultProxy;
let terminals: TerminalRun[] = [];

const sandbox = useSandbox({
  seed: seed(
    ...[1, 2, 3, 4, 5].map((id) => organization(id)),
    organization(READ_ONLY, { tokens: [token(READ_ONLY, { scopes: ["billing:read"] })] }),
  ),
});

beforeAll(async () => {
  proxy = await FaultProxy.start(sandbox.ready.url);
});

afterEach(() => {
  for (const terminal of terminals) terminal.close();
  terminals = [];
  proxy.heal();
});

afterAll(async () => {
  await proxy?.close();
});

async function open(id: number, ...args: string[]): Promise<TerminalRun> {
  const terminal = await runInTerminal(args, { env: environmentFor(sandbox.ready.url, id), columns: 80 });
  terminals.push(terminal);
  await terminal.waitForText(CONFIRMATION);
  return terminal;
}

const scheduled = async (id: number) =>
  resultOf<{ reduction: { licenses: number; date: string } | null }>(await sandbox.cli(id, ["status", "--json"]))
    .reduction;

describe("licenses reduce", () => {
  test("shows what the renewal will be, and asks; Yes schedules it", async () => {
    const terminal = await open(1, "licenses", "reduce", "22");
    const parts = [
      "SANDBOX",
      sandbox.origin,
      ADMIN,
      "25 → 22 licenses",
      "2027-03-01",
      "£3,960.00",
      "£4,500.00",
      "nothing",
    ];
    for (const part of parts) expect(terminal.screen()).toContain(part);
    terminal.type(`y${KEYS.enter}`);
    expect(await terminal.exitCode()).toBe(0);
    expect(await scheduled(1)).toEqual({ licenses: 22, date: "2027-03-01" });
    expect(await sandbox.captures()).toEqual([]);
  });

  test("asks with No as the default: Enter changes nothing and exits with 3", async () => {
    const terminal = await open(2, "licenses", "reduce", "22");
    terminal.type(KEYS.enter);
    expect(await terminal.exitCode()).toBe(3);
    expect(await scheduled(2)).toBeNull();
  });

  test("shows the current state and asks again if the subscription changed meanwhile", async () => {
    const terminal = await open(2, "licenses", "reduce", "23");
    expect((await sandbox.cli(2, ["buy", "5", "--yes"])).exitCode).toBe(0);
    terminal.type(`y${KEYS.enter}`);
    await terminal.waitForText("30 → 23 licenses");
    expect(await scheduled(2)).toBeNull();
    terminal.type(`y${KEYS.enter}`);
    expect(await terminal.exitCode()).toBe(0);
    expect(await scheduled(2)).toEqual({ licenses: 23, date: "2027-03-01" });
  });

  test("cancels with --cancel, and does nothing when repeated", async () => {
    for (const _ of [1, 2]) {
      const run = await sandbox.cli(1, ["licenses", "reduce", "--cancel", "--yes", "--json"]);
      expect(resultOf(run)).toMatchObject({ reduction: null, renewal: { licenses: 25 }, dryRun: false });
    }
    expect(await scheduled(1)).toBeNull();
  });

  test("schedules once if a script runs twice", async () => {
    const line = ["licenses", "reduce", "23", "--if-purchased", "25", "--yes", "--json"];
    const [first, second] = [await sandbox.cli(3, line), await sandbox.cli(3, line)];
    expect(resultOf(first)).toEqual(resultOf(second));
    expect(await scheduled(3)).toMatchObject({ licenses: 23 });
  });

  test("shows what would happen with --dry-run, and changes nothing", async () => {
    const run = await sandbox.cli(4, ["licenses", "reduce", "22", "--dry-run", "--json"]);
    expect(resultOf(run)).toMatchObject({
      reduction: { licenses: 22, date: "2027-03-01" },
      licenses: { purchased: 25, used: 22, available: 3 },
      renewal: { licenses: 22, total: { amount: 396_000, currency: "GBP" } },
      dryRun: true,
    });
    expect(await scheduled(4)).toBeNull();
  });

  test.each([
    [["21"], 2, "invalid_request", "Cannot reduce to 21 licenses: 22 of 25 purchased are in use"],
    [["25"], 2, "invalid_request", "Cannot reduce to 25 licenses: only 25 are purchased"],
    [["22", "--if-purchased", "24"], 7, "if_purchased_not_met", "25 licenses are purchased"],
  ] as const)("%j is rejected, in a dry run as well", async (args, exitCode, code, message) => {
    for (const how of ["--yes", "--dry-run"]) {
      const run = await sandbox.cli(4, ["licenses", "reduce", ...args, how, "--json"]);
      expect(run.exitCode).toBe(exitCode);
      expect(errorOf(run)).toMatchObject({ code, message: expect.stringContaining(message) });
    }
    expect(await scheduled(4)).toBeNull();
  });

  test("rejects a token that may not buy", async () => {
    const run = await sandbox.cli(READ_ONLY, ["licenses", "reduce", "22", "--yes", "--json"]);
    expect([run.exitCode, errorOf(run).code]).toEqual([5, "insufficient_scope"]);
  });

  test("repeats the request after a lost response without harm", async () => {
    proxy.inject({ method: "PUT", path: /reduction$/, nth: 1, fault: { kind: "drop", when: "after" } });
    const env = environmentFor(proxy.url, 5);
    const run = await runCli(["licenses", "reduce", "24", "--yes", "--json"], { env });
    expect(resultOf(run)).toMatchObject({ reduction: { licenses: 24 } });
    expect(proxy.seen("PUT", /reduction$/)).toHaveLength(2);
    expect(await scheduled(5)).toMatchObject({ licenses: 24 });
  });

  test.each(["--cancel", "24"])(
    "%s answered with a gateway page: exits with 10 and says where to check",
    async (what) => {
      proxy.inject({
        method: what === "24" ? "PUT" : "DELETE",
        path: /reduction$/,
        fault: { kind: "html", when: "after" },
      });
      const env = environmentFor(proxy.url, 5);
      const run = await runCli(["licenses", "reduce", what, "--yes", "--json"], { env });
      expect(run).toMatchObject({ exitCode: 10, stdout: "" });
      expect(errorOf(run)).toMatchObject({ code: "outcome_unknown", hint: expect.stringContaining("status") });
      expect(await scheduled(5)).toEqual(what === "24" ? { licenses: 24, date: "2027-03-01" } : null);
    },
  );

  test.skipIf(!existsSync("/dev/full")).each([
    ["23", "The reduction was scheduled"],
    ["--cancel", "The reduction was canceled"],
  ])("%s on a full disk says that it was done", async (what, done) => {
    const env = environmentFor(sandbox.ready.url, 4);
    const run = await runCli(["licenses", "reduce", what, "--yes", "--json"], { env, stdoutFile: "/dev/full" });
    expect(errorOf(run).message).toContain(done);
    expect((await scheduled(4))?.licenses ?? null).toBe(what === "23" ? 23 : null);
  });

  test("exits with 10 and schedules nothing without a network", async () => {
    proxy.inject({ method: "GET", path: /./, fault: { kind: "drop", when: "before" } });
    const env = environmentFor(proxy.url, 4);
    const run = await runCli(["licenses", "reduce", "22", "--yes", "--json"], { env });
    expect(run.exitCode).toBe(10);
    expect(await scheduled(4)).toBeNull();
  });
});
