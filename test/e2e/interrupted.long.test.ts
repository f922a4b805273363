import { expect, test } from "vitest";
import { startCli } from "../support/cli.ts";
import { BIN } from "../support/places.ts";
import { environmentFor } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import { runInTerminal, startInTerminal } from "../support/terminal.ts";
import { useSandbox } from "../support/useSandbox.ts";

const MOMENTS = Array.from({ length: 16 }, (_, index) => 60 + index * 45);
const QUESTION = "(y/N)";

const sandbox = useSandbox({ seed: seed(organization(1), organization(2)) });

test("Ctrl-C at any moment of startup: an exit with 130 and no output means that nothing was or will be bought", async () => {
  let silent = 0;
  for (const moment of MOMENTS) {
    const before = await sandbox.purchases(1);
    const running = await startCli(["buy", "1", "--yes", "--note", `after ${moment} ms`], {
      env: environmentFor(sandbox.ready.url, 1),
      timeout: 20_000,
    });
    const timer = setTimeout(() => running.kill("SIGINT"), moment);
    const { exitCode, stderr } = await running.ended;
    clearTimeout(timer);
    const made = (await sandbox.purchases(1)).length - before.length;
    if (exitCode !== 130 || stderr !== "") continue;
    silent += 1;
    expect({ moment, made }).toEqual({ moment, made: 0 });
  }
  expect(silent).toBeGreaterThan(0);
});

test("Ctrl-C at any moment before a prompt: no prompt follows", async () => {
  for (const moment of MOMENTS.filter((_, index) => index % 3 === 0)) {
    const terminal = await runInTerminal(["buy", "1"], { env: environmentFor(sandbox.ready.url, 2) });
    const timer = setTimeout(() => terminal.type("\u0003"), moment);
    try {
      expect([130, 0]).toContain(await terminal.exitCode(10_000));
    } finally {
      clearTimeout(timer);
      terminal.close();
    }
  }
  expect(await sandbox.purchases(2)).toEqual([]);
});

test.each(["SIGTERM", "SIGHUP"] as const)("%s at a prompt leaves the terminal as it was", async (signal) => {
  // The inner shell becomes the program, so that its number is the program's.
  const script = `sh -c 'echo "process $$"; exec "$NODE" "$BIN" buy 1'; echo "ended $?"; stty -a`;
  const terminal = await startInTerminal("sh", ["-c", script], {
    env: { ...environmentFor(sandbox.ready.url, 2), NODE: process.execPath, BIN },
  });
  try {
    await terminal.waitForText(QUESTION);
    const [, pid] = /process (\d+)/.exec(terminal.screen()) ?? [];
    process.kill(Number(pid), signal);
    await terminal.waitForText(/ended \d+/);
    await terminal.waitForText(/ icanon/);
    expect(terminal.screen()).toMatch(/ echo /);
    expect(terminal.raw()).toContain("\u001b[?2004l");
    expect(terminal.screen()).toContain("Canceled. Nothing was bought.");
  } finally {
    terminal.close();
  }
});
