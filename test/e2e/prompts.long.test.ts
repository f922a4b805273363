import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { temporaryDirectory } from "../support/places.ts";
import { environmentFor, startSandbox } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import { KEYS, runInTerminal, type TerminalRun } from "../support/terminal.ts";
import { useSandbox } from "../support/useSandbox.ts";

const QUESTION = "(y/N)";
const PASTED = (text: string) => `\u001b[200~${text}\u001b[201~`;

let terminals: TerminalRun[] = [];
/** A terminal that does everything, one that acts on no escape sequence, and one that a screen reader reads. */
const TERMINALS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  usual: { TERM: "xterm-256color" },
  dumb: { TERM: "dumb" },
  accessible: { TERM: "xterm-256color", ACCESSIBLE: "1" },
};

let kind = "usual";

const sandbox = useSandbox({
  seed: seed(organization(1), organization(2, { paymentMethod: "card_declined" })),
});

afterEach(() => {
  for (const terminal of terminals) {
    terminal.close();
    if (kind !== "usual") expect(terminal.raw()).not.toContain("\u001b");
  }
  terminals = [];
});

async function open(args: readonly string[], id = 1, env: Record<string, string> = {}): Promise<TerminalRun> {
  const terminal = await runInTerminal(args, {
    env: { ...environmentFor(sandbox.ready.url, id), ...TERMINALS[kind], ...env },
  });
  terminals.push(terminal);
  return terminal;
}

async function bought(work: () => Promise<unknown>): Promise<number> {
  const before = await sandbox.purchased(1);
  await work();
  return (await sandbox.purchased(1)) - before;
}

// One for a screen reader is asked as a dumb one is.
describe.each(["usual", "dumb"])("on a terminal of the kind: %s", (type) => {
  beforeAll(() => {
    kind = type;
  });

  afterAll(() => {
    kind = "usual";
  });

  describe("a reply to the prompt", () => {
    test.each(["y\r", "Y\r", "yes\r", "YES\n", " yes \r", "y\r\n", "x\u007fy\r"])("%j buys", async (keys) => {
      const count = await bought(async () => {
        const terminal = await open(["buy", "1", "--note", JSON.stringify(keys)]);
        await terminal.waitForText(QUESTION);
        terminal.type(keys);
        expect(await terminal.exitCode()).toBe(0);
      });
      expect(count).toBe(1);
    });

    test.each(["\r", "n\r", "yarn install\r", "yikes, no!\r", "y?\r", "yes please\r", "ye\r", "yy\r", "j\r", "ｙ\r"])(
      "%j means No: exits with 3, and says so without an error or a check mark",
      async (keys) => {
        const count = await bought(async () => {
          const terminal = await open(["buy", "1"]);
          await terminal.waitForText(QUESTION);
          terminal.type(keys);
          expect(await terminal.exitCode()).toBe(3);
          expect(terminal.screen()).toMatch(/Canceled\. Nothing was bought\.$/);
          expect(terminal.screen()).not.toMatch(/Error:|✔|√/);
        });
        expect(count).toBe(0);
      },
    );

    test.each([
      ["Ctrl-D", KEYS.controlD, 3],
      ["Ctrl-C", KEYS.controlC, 130],
      ["Ctrl-C after y", `y${KEYS.controlC}`, 130],
    ])("%s cancels", async (_, keys, exitCode) => {
      const terminal = await open(["buy", "1"]);
      await terminal.waitForText(QUESTION);
      terminal.type(keys);
      expect(await terminal.exitCode()).toBe(exitCode);
      expect(terminal.screen()).toMatch(/Canceled\. Nothing was bought\.$/);
      expect(terminal.screen()).not.toContain("Error:");
    });

    test("is requested with --json as well", async () => {
      const terminal = await open(["buy", "1", "--json"]);
      await terminal.waitForText(QUESTION);
      terminal.type("n\r");
      expect(await terminal.exitCode()).toBe(3);
      expect(terminal.screen()).toContain('"Canceled. Nothing was bought."');
    });
  });

  describe("input that is ignored, so that the prompt waits", () => {
    test.each([
      ["typed before the program started", "yes\r"],
      ["a command pasted with another one", "y\ryarn install\r"],
      ["half a line typed before", "y"],
    ])("%s", async (_, ahead) => {
      const count = await bought(async () => {
        const terminal = await open(["buy", "1"]);
        terminal.type(ahead);
        await terminal.waitForText(QUESTION);
        terminal.type(KEYS.enter);
        expect(await terminal.exitCode()).toBe(3);
      });
      expect(count).toBe(0);
    });

    test("typed repeatedly while the price is requested", async () => {
      const count = await bought(async () => {
        const terminal = await open(["buy", "1"]);
        const typing = setInterval(() => terminal.screen().includes(QUESTION) || terminal.type("y\r"), 10);
        try {
          await terminal.waitForText(/Organization/);
        } finally {
          clearInterval(typing);
        }
        await terminal.waitForText(QUESTION);
        terminal.type(KEYS.enter);
        expect(await terminal.exitCode()).toBe(3);
      });
      expect(count).toBe(0);
    });

    test.each([
      ["a bracketed paste", PASTED("y\r")],
      ["a bracketed paste of only y, then nothing", PASTED("y")],
      ["bytes after Enter, in one read", "y\rls\r"],
      ["a second line with yes", "y\ryes\r"],
    ])("%s; later typing is accepted", async (_, keys) => {
      const count = await bought(async () => {
        const terminal = await open(["buy", "1", "--note", `after ${JSON.stringify(keys)}`]);
        await terminal.waitForText(QUESTION);
        terminal.type(keys);
        // The bell says that it was no answer.
        await expect.poll(() => terminal.raw()).toContain("\u0007");
        expect(terminal.screen()).not.toContain("Canceled");
        const typed = () => {
          terminal.type("n");
          return terminal.screen();
        };
        await expect.poll(typed, { interval: 200 }).toMatch(/\(y\/N\) n+$/);
        terminal.type(KEYS.enter);
        expect(await terminal.exitCode()).toBe(3);
      });
      expect(count).toBe(0);
    });
  });
});

test("bracketed paste is enabled only during a prompt, and not on a dumb terminal", async () => {
  const terminal = await open(["buy", "1"]);
  await terminal.waitForText(QUESTION);
  terminal.type("n\r");
  await terminal.exitCode();
  const marks = terminal.raw().match(/\u001b\[\?2004[hl]/g);
  expect(marks).toEqual(["\u001b[?2004h", "\u001b[?2004l"]);
});

test.each(["dumb", "accessible"])(
  "a terminal of the kind %s edits and echoes a line without escape sequences, and does not echo a secret",
  async (type) => {
    const env = { ...TERMINALS[type], SECUREFLAG_API_URL: sandbox.ready.url };
    const terminal = await open(["login", "--email", "admin1@northwind.example", "--insecure-storage"], 1, env);
    await terminal.waitForText("? Password");
    terminal.type("wrong-secret\u007f\u001b[A\u0015other\r");
    await terminal.exitCode();
    expect(terminal.raw()).not.toMatch(/secret|other|\u001b/);
    const asked = await open(["buy", "1"], 1, TERMINALS[type]);
    await asked.waitForText(QUESTION);
    asked.type("né日x\u007f\u007f");
    await expect.poll(() => asked.screen()).toMatch(/\(y\/N\) né$/);
    asked.type("\u007f\u0015yes\r");
    expect(await asked.exitCode()).toBe(0);
    expect(asked.raw()).not.toContain("\u001b");
  },
);

describe("every other confirmation prompt", () => {
  async function declined(): Promise<string> {
    const { stdout } = await sandbox.cli(2, ["buy", "1", "--yes", "--json"]);
    return JSON.parse(stdout).purchase.id;
  }

  test("purchases pay: asks with amount and card, and ignores what was typed ahead", async () => {
    const id = await declined();
    const terminal = await open(["purchases", "pay", id], 2);
    terminal.type("yes\r");
    await terminal.waitForText(QUESTION);
    expect(terminal.screen()).toMatch(/Due now .*£48\.82/);
    terminal.type("n\r");
    expect(await terminal.exitCode()).toBe(3);
    const { exitCode } = await sandbox.cli(2, ["purchases", "pay", id, "--no-input"]);
    expect(exitCode).toBe(2);
  });

  test("sandbox reset: a word that starts with y is No", async () => {
    const data = join(await temporaryDirectory(), "data");
    await (await startSandbox({ data })).stop();
    const terminal = await open(["sandbox", "reset", "--data", data]);
    await terminal.waitForText(QUESTION);
    terminal.type("yup\r");
    expect(await terminal.exitCode()).toBe(3);
    expect(terminal.screen()).toMatch(/Canceled\. Nothing was changed\.$/);
  });
});
