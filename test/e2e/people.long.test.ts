import { afterAll, afterEach, describe, expect, test } from "vitest";
import { resultOf, runCli } from "../support/cli.ts";
import { removePlaces } from "../support/places.ts";
import { environmentFor } from "../support/sandbox.ts";
import { ADMIN, organization, PASSWORD, seed } from "../support/seed.ts";
import { KEYS, runInTerminal, type TerminalRun } from "../support/terminal.ts";
import { useSandbox } from "../support/useSandbox.ts";

const sandbox = useSandbox({ seed: seed(organization(1)) });

const HOW_MANY = "How many licenses do you want to buy?";

let terminals: TerminalRun[] = [];

afterEach(() => {
  for (const terminal of terminals) terminal.close();
  terminals = [];
});

afterAll(removePlaces);

async function open(args: readonly string[], env: Record<string, string>, home?: string): Promise<TerminalRun> {
  const terminal = await runInTerminal(args, { env: { TERM: "xterm-256color", ...env }, ...(home && { home }) });
  terminals.push(terminal);
  return terminal;
}

async function resultOfBuying(env: Record<string, string>): Promise<void> {
  resultOf(await runCli(["buy", "1", "--yes", "--json"], { env }));
}

const PLAIN = [{}, { ACCESSIBLE: "1" }, { TERM: "dumb" }];

describe.each(PLAIN)("buy alone with %j", (plain) => {
  test("signs in, asks how many, confirms and buys; then the sign-in is kept", async () => {
    const before = await sandbox.purchased(1);
    const env = { SECUREFLAG_API_URL: sandbox.ready.url, ...plain };
    const terminal = await open(["buy"], env);
    await terminal.waitForText("Choose 1 to 2");
    terminal.type("2\r");
    await terminal.waitForText("? Email");
    terminal.type(`${ADMIN}\r`);
    await terminal.waitForText(/\? Password|Store the sign-in in a file/);
    if (terminal.screen().includes("Store the sign-in")) {
      terminal.type("y\r");
      await terminal.waitForText("? Password");
    }
    terminal.type(`${PASSWORD}\r`);
    await terminal.waitForText(HOW_MANY);
    expect(terminal.screen()).toMatch(/Price +£48\.82 .*a license until 2027-03-01/);
    terminal.type("none\r");
    await terminal.waitForText(/It must be a whole number, 1 to 10000\.\s+\? How many licenses do you want to buy\?/);
    terminal.type("2\r");
    await terminal.waitForText("Buy 2 licenses for");
    terminal.type("y\r");
    expect(await terminal.exitCode(), terminal.screen()).toBe(0);
    expect((await sandbox.purchased(1)) - before).toBe(2);
    expect(terminal.raw()).not.toContain(PASSWORD);
    if (Object.keys(plain).length > 0) expect(terminal.raw()).not.toContain("\u001b");

    const again = await open(["buy"], env, terminal.home);
    await again.waitForText(HOW_MANY);
    again.type(KEYS.controlD);
    expect(await again.exitCode()).toBe(3);
    expect(again.screen()).toMatch(/Canceled\. Nothing was bought\.$/);
  });
});

test("buy alone: Ctrl-C at the number ends with 130, and what was typed before the question is discarded", async () => {
  const terminal = await open(["buy"], environmentFor(sandbox.ready.url, 1));
  terminal.type("7\r");
  await terminal.waitForText(HOW_MANY);
  terminal.type(KEYS.controlC);
  expect(await terminal.exitCode()).toBe(130);
  expect(terminal.screen()).toMatch(/Canceled\. Nothing was bought\.$/);
});

describe("status --watch", () => {
  test("shows a purchase that is made elsewhere, in place, until Ctrl-C", async () => {
    const env = environmentFor(sandbox.ready.url, 1);
    const terminal = await open(["status", "--watch", "5"], env);
    const before = await sandbox.purchased(1);
    await terminal.waitForText(`${before} purchased`);
    await resultOfBuying(env);
    await terminal.waitForText(`${before + 1} purchased`, 20_000);
    expect(terminal.raw().split("\u001b[2J\u001b[H")).toHaveLength(3);
    terminal.type(KEYS.controlC);
    expect(await terminal.exitCode()).toBe(130);
  });
});
