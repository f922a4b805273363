import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { FaultProxy } from "../support/faultProxy.ts";
import { temporaryDirectory } from "../support/places.ts";
import { environmentFor } from "../support/sandbox.ts";
import { widthOf } from "../support/screen.ts";
import { ADMIN, organization, PASSWORD, seed, tokenOf, user } from "../support/seed.ts";
import { KEYS, runInTerminal, type TerminalRun } from "../support/terminal.ts";
import { useSandbox } from "../support/useSandbox.ts";

let proxy: FaultProxy;
let terminals: TerminalRun[] = [];

const sandbox = useSandbox({
  seed: seed(
    ...[1, 2, 3, 4, 5, 6, 7].map((id) =>
      organization(id, { users: [user({}), user({ email: `only${id}@northwind.example` })] }),
    ),
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

async function open(args: readonly string[], env: Record<string, string>, columns = 80): Promise<TerminalRun> {
  const terminal = await runInTerminal(args, { env, columns });
  terminals.push(terminal);
  return terminal;
}

const CONFIRMATION = /\(y\/N\)/i;

describe("the confirmation of a purchase", () => {
  test("shows what is bought, from whom and at what price; Yes buys", async () => {
    const terminal = await open(["buy", "5"], environmentFor(sandbox.ready.url, 1));
    await terminal.waitForText(CONFIRMATION);
    const parts = [
      "Northwind Labs",
      "SANDBOX",
      sandbox.origin,
      "25 → 30",
      "£244.10",
      "£40.68",
      "£5,400.00",
      `${ADMIN}, token`,
    ];
    for (const part of parts) expect(terminal.screen()).toContain(part);
    terminal.type(`y${KEYS.enter}`);
    expect(await terminal.exitCode()).toBe(0);
    expect(await sandbox.purchased(1)).toBe(30);
  });

  test("is No by default: Enter buys nothing and exits with 3", async () => {
    const terminal = await open(["buy", "5"], environmentFor(sandbox.ready.url, 2));
    await terminal.waitForText(CONFIRMATION);
    terminal.type(KEYS.enter);
    expect(await terminal.exitCode()).toBe(3);
    expect(await sandbox.purchases(2)).toEqual([]);
  });

  test("exits silently with 130 on Ctrl-C", async () => {
    const terminal = await open(["buy", "5"], environmentFor(sandbox.ready.url, 2));
    await terminal.waitForText(CONFIRMATION);
    terminal.type(KEYS.controlC);
    expect(await terminal.exitCode()).toBe(130);
    expect(terminal.screen()).not.toMatch(/error|ExitPrompt|at .*\.js/i);
    expect(await sandbox.purchases(2)).toEqual([]);
  });

  test("treats Ctrl-D as No: exits with 3", async () => {
    const terminal = await open(["buy", "5"], environmentFor(sandbox.ready.url, 2));
    await terminal.waitForText(CONFIRMATION);
    terminal.type(KEYS.controlD);
    expect(await terminal.exitCode()).toBe(3);
    expect(terminal.screen()).not.toMatch(/error|AbortPrompt|at .*\.js/i);
    expect(await sandbox.purchases(2)).toEqual([]);
  });

  test("fits 60 columns, and survives a resize", async () => {
    const terminal = await open(["buy", "5"], environmentFor(sandbox.ready.url, 2), 60);
    await terminal.waitForText(CONFIRMATION);
    expect(widthOf(terminal.screen())).toBeLessThanOrEqual(60);
    terminal.resize(100, 40);
    terminal.type(`n${KEYS.enter}`);
    expect(await terminal.exitCode()).toBe(3);
  });

  test.each([
    ["--no-input", ["--no-input"], {}],
    ["CI", [], { CI: "true" }],
  ])("is disabled by %s even in a terminal: exits with 2", async (_, flags, extra) => {
    const terminal = await open(["buy", "5", ...flags], { ...environmentFor(sandbox.ready.url, 2), ...extra });
    expect(await terminal.exitCode()).toBe(2);
    await terminal.waitForText("--yes");
  });

  test("quotes again and shows the difference if the quote became stale during the prompt", async () => {
    const terminal = await open(["buy", "5"], environmentFor(sandbox.ready.url, 3));
    await terminal.waitForText(CONFIRMATION);
    expect((await sandbox.cli(3, ["buy", "2", "--yes"])).exitCode).toBe(0);
    terminal.type(`y${KEYS.enter}`);
    await terminal.waitForText(/27 → 32[\s\S]*\(y\/N\)/);
    expect(await sandbox.purchased(3)).toBe(27);
    terminal.type(`y${KEYS.enter}`);
    expect(await terminal.exitCode()).toBe(0);
    expect(await sandbox.purchased(3)).toBe(32);
  });

  test("follows the same purchase after a lost response, and buys again only on Yes", async () => {
    proxy.inject({ method: "POST", path: /\/purchases$/, fault: { kind: "status", when: "after", status: 500 } });
    proxy.inject({ method: "GET", path: /by-key/, fault: { kind: "drop", when: "before" } });
    const env = environmentFor(proxy.url, 4);
    const first = await open(["buy", "5", "--yes", "--timeout", "2"], env);
    expect(await first.exitCode(60_000)).toBe(10);
    proxy.heal();
    const again = await runInTerminal(["buy", "5"], { env, home: first.home });
    terminals.push(again);
    await again.waitForText(CONFIRMATION);
    again.type(KEYS.enter);
    expect(await again.exitCode()).toBe(0);
    expect(await sandbox.purchased(4)).toBe(30);
  }, 90_000);
});

describe("signing in", () => {
  /** Without a keyring, the place of the sign-in is asked for first. */
  async function allowFile(terminal: Awaited<ReturnType<typeof open>>, question: RegExp): Promise<void> {
    await terminal.waitForText(new RegExp(`\\(y/N\\)|${question.source}`, question.flags));
    if (CONFIRMATION.test(terminal.screen())) terminal.type(`y${KEYS.enter}`);
    await terminal.waitForText(question);
  }

  test("asks before writing a file, then for the password, which is not echoed", async () => {
    const terminal = await open(["login", "--email", "only5@northwind.example"], {
      SECUREFLAG_API_URL: sandbox.ready.url,
    });
    await allowFile(terminal, /password/i);
    terminal.type(PASSWORD);
    terminal.type(KEYS.enter);
    expect(await terminal.exitCode()).toBe(0);
    expect(terminal.raw()).not.toContain("correct horse");
    expect(terminal.raw()).not.toContain("staple");
  });

  test("Ctrl-D at its prompts: exits with 3", async () => {
    const env = { SECUREFLAG_API_URL: sandbox.ready.url };
    const data = await temporaryDirectory();
    await writeFile(join(data, "backend.db"), "");
    const asked = [
      [["login", "--email", ADMIN], /password/i],
      [["sandbox", "reset", "--data", data], CONFIRMATION],
    ] as const;
    for (const [args, question] of asked) {
      const terminal = await open(args, env);
      await (args[0] === "login" ? allowFile(terminal, question) : terminal.waitForText(question));
      terminal.type(KEYS.controlD);
      expect({ args, code: await terminal.exitCode() }).toEqual({ args, code: 3 });
    }
  });

  test("Ctrl-D at the second prompt: exits with 3", async () => {
    const terminal = await open(["login", "--totp", "123456"], { SECUREFLAG_API_URL: sandbox.ready.url });
    await allowFile(terminal, /email/i);
    terminal.type(`${ADMIN}${KEYS.enter}`);
    await terminal.waitForText(/password/i);
    terminal.type(KEYS.controlD);
    expect(await terminal.exitCode()).toBe(3);
  });

  test("a wrong password: exits with 4", async () => {
    const terminal = await open(["login", "--email", ADMIN, "--insecure-storage"], {
      SECUREFLAG_API_URL: sandbox.ready.url,
    });
    await terminal.waitForText(/password/i);
    terminal.type(`wrong${KEYS.enter}`);
    expect(await terminal.exitCode()).toBe(4);
  });
});

describe("output", () => {
  test("has color in a terminal, none with NO_COLOR, and fits 60 columns", async () => {
    const env = environmentFor(sandbox.ready.url, 6);
    const colored = await open(["status"], env, 60);
    expect(await colored.exitCode()).toBe(0);
    expect(colored.raw()).toContain("\u001b[");
    expect(widthOf(colored.screen())).toBeLessThanOrEqual(60);
    const plain = await open(["status"], { ...env, NO_COLOR: "1" }, 60);
    expect(await plain.exitCode()).toBe(0);
    expect(plain.raw()).not.toMatch(/\u001b\[\d*(;\d+)*m/);
  });

  test("shows a spinner for a slow request in the terminal, and clears it", async () => {
    proxy.inject({ method: "GET", path: /subscription/, fault: { kind: "delay", when: "before", ms: 1500 } });
    const terminal = await open(["status"], environmentFor(proxy.url, 6));
    await terminal.waitForText(/[⠁-⣿]/);
    expect(await terminal.exitCode()).toBe(0);
    expect(terminal.screen()).not.toMatch(/[⠁-⣿]/);
    expect(terminal.screen()).toContain("Northwind Labs");
  });

  test.each([
    ["the organization", /\/me$/],
    ["the price", /quotes$/],
    ["the purchase", /purchases$/],
  ])("shows a spinner while %s is requested", async (_what, path) => {
    for (const method of ["GET", "POST"]) {
      proxy.inject({ method, path, fault: { kind: "delay", when: "before", ms: 1500 } });
    }
    const { SECUREFLAG_ORGANIZATION: _organization, ...env } = environmentFor(proxy.url, 6);
    const terminal = await open(["buy", "1", "--yes"], env);
    await terminal.waitForText(/[⠁-⣿]/);
    expect(await terminal.exitCode()).toBe(0);
    expect(terminal.screen()).not.toMatch(/[⠁-⣿]/);
  });

  test("Ctrl-C during a request: exits with 130", async () => {
    proxy.inject({ method: "GET", path: /subscription/, fault: { kind: "delay", when: "before", ms: 20_000 } });
    const terminal = await open(["status"], environmentFor(proxy.url, 6));
    await terminal.waitForText(/[⠁-⣿]/);
    terminal.type(KEYS.controlC);
    expect(await terminal.exitCode(5_000)).toBe(130);
  });
});

test("no token is ever shown in a terminal", async () => {
  const terminal = await open(["whoami", "--verbose"], environmentFor(sandbox.ready.url, 7));
  expect(await terminal.exitCode()).toBe(0);
  expect(terminal.raw()).not.toContain(tokenOf(7));
});
