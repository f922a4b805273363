import { describe, expect, test } from "vitest";
import { environmentFor } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import { KEYS, runInTerminal, type TerminalRun } from "../support/terminal.ts";
import { useSandbox } from "../support/useSandbox.ts";

const sandbox = useSandbox({ seed: seed(organization(1, { name: "Łódź Labs" }), organization(2)) });

describe("a locale with a modifier", () => {
  test("fails no command that shows an amount, and the result of a purchase is printed", async () => {
    const env = { LC_ALL: "de_DE.UTF-8@euro" };
    const status = await sandbox.cli(2, ["status"], { env });
    expect(status).toMatchObject({ exitCode: 0, stderr: "" });
    expect(status.stdout).toContain("4.500,00 £");
    const bought = await sandbox.cli(2, ["buy", "1", "--yes", "--quiet"], { env });
    expect(bought).toMatchObject({ exitCode: 0, stderr: "" });
    expect(bought.stdout).toContain("1 license");
  });
});

describe("a terminal that is not UTF-8", () => {
  async function finished(terminal: TerminalRun): Promise<string> {
    expect(await terminal.exitCode()).toBe(0);
    expect(terminal.raw()).toMatch(/^[\0-\x7f]*$/);
    return terminal.screen();
  }

  test.each(["C", "POSIX", "en_US.ISO-8859-1"])("shows a purchase in ASCII: %s", async (locale) => {
    const env = { ...environmentFor(sandbox.ready.url, 1), LC_ALL: locale };
    const terminal = await runInTerminal(["buy", "5"], { env });
    await terminal.waitForText("(y/N)");
    terminal.type(`y${KEYS.enter}`);
    const screen = await finished(terminal);
    expect(screen).toMatch(/Licenses +\d+ -> \d+\n/);
    expect(screen).toContain("Lodz Labs (1)");
    expect(screen).toContain("Buy 5 licenses for GBP 244.10 now? (y/N)");
  });

  test("draws charts with ASCII bars below aligned columns", async () => {
    const env = { ...environmentFor(sandbox.ready.url, 1), LC_CTYPE: "en_US" };
    const compared = await finished(await runInTerminal(["quote", "--compare", "1,100"], { env }));
    const [heads = "", ...rows] = compared.split("\n");
    const end = heads.indexOf("Due now") + "Due now".length;
    expect(rows.slice(0, 2).map((row) => row.slice(0, end).length)).toEqual([end, end]);
    expect(rows[1]?.slice(end)).toMatch(/^ {2}#+$/);
    expect(await finished(await runInTerminal(["status"], { env }))).toMatch(/#+\.+\n/);
  });

  test("keeps results for programs in UTF-8", async () => {
    const env = { ...environmentFor(sandbox.ready.url, 1), LC_ALL: "C" };
    const terminal = await runInTerminal(["status", "--json"], { env, columns: 2_000 });
    expect(await terminal.exitCode()).toBe(0);
    expect(JSON.parse(terminal.screen())).toMatchObject({ organization: { name: "Łódź Labs" } });
    const piped = await sandbox.cli(1, ["status"], { env: { LC_ALL: "C" } });
    expect(piped.stdout).toContain("Łódź Labs");
    expect(piped.stdout).toContain("£");
  });
});
