import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createContext } from "../../src/cli/context.ts";
import { createLifetime } from "../../src/cli/io.ts";

describe.skipIf(process.platform !== "linux")("opening a URL", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "sfl-"));
    const script = `#!/bin/sh\nprintf '%s' "$*" > ${folder}/partly && mv ${folder}/partly ${folder}/opened\n`;
    writeFileSync(join(folder, "xdg-open"), script);
    chmodSync(join(folder, "xdg-open"), 0o755);
    vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each([
    ["a NUL", "https://billing.example/\0"],
    ["200 KB", `https://billing.example/${"x".repeat(200_000)}`],
  ])("fails nothing if no process can be started with %s", async (_, url) => {
    const failures: unknown[] = [];
    const fail = (reason: unknown) => failures.push(reason);
    process.on("unhandledRejection", fail);
    const context = createContext();
    try {
      context.openUrl(url);
      // What is opened after it shows that the first one was tried.
      context.openUrl("https://billing.example/pay");
      await vi.waitFor(() => expect(existsSync(join(folder, "opened"))).toBe(true), 10_000);
    } finally {
      process.off("unhandledRejection", fail);
      await context.end();
    }
    expect(failures).toEqual([]);
    expect(readFileSync(join(folder, "opened"), "utf8")).toBe("https://billing.example/pay");
  });
});

it("a wait beyond the timer limit does not end at once", async () => {
  vi.useFakeTimers();
  try {
    const lifetime = createLifetime();
    let hasEnded = false;
    void lifetime.sleep(2 ** 31).then(() => {
      hasEnded = true;
    });
    await vi.advanceTimersByTimeAsync(1_000_000);
    expect([hasEnded, vi.getTimerCount()]).toEqual([false, 1]);
    lifetime.end();
  } finally {
    vi.useRealTimers();
  }
});

it.each([
  ["SECUREFLAG_API_TOKEN", "\uFEFFsfl_1\r\n", "sfl_1"],
  ["SECUREFLAG_ORGANIZATION", " 4201 ", "4201"],
  ["SECUREFLAG_API_URL", "https://api.example\r", "https://api.example"],
  ["SECUREFLAG_PROFILE", "  ", ""],
  ["https_proxy", " proxy:3128\n", "proxy:3128"],
  ["TERM", " xterm ", " xterm "],
])("%s=%j is read as %j", async (name, value, expected) => {
  vi.stubEnv(name, value);
  const context = createContext();
  try {
    expect(context.env[name]).toBe(expected);
    expect({ ...context.env }[name]).toBe(expected);
  } finally {
    vi.unstubAllEnvs();
    await context.end();
  }
});
