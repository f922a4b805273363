import { existsSync } from "node:fs";
import { execa } from "execa";
import { expect, test } from "vitest";
import { parseProcStat, processProbe } from "../../../src/cli/files/fileLock.ts";

// Systems without /proc have `ps`; a small Linux image has no `ps`.
const PLATFORMS = [...(existsSync("/proc/self/stat") ? ["linux"] : []), ...(existsSync("/bin/ps") ? ["darwin"] : [])];

test.each(PLATFORMS)("on %s this process has one start time, and an ended one has none", async (platform) => {
  const probe = processProbe(platform);
  const child = execa("node", ["-e", "setTimeout(() => {}, 60000)"], { reject: false });
  const { pid = 0 } = child;
  const started = await probe(pid);
  expect(started).toMatch(/\d/);
  expect(await probe(pid)).toBe(started);
  child.kill("SIGKILL");
  await child;
  expect(await probe(pid)).toBeNull();
});

test.each([
  ["12 (node) S 1 12 12 0 -1 4194304 1 0 0 0 1 0 0 0 20 0 11 0 5551234 1 2", "5551234"],
  ["12 (a) b (c) R 1 12 12 0 -1 4194304 1 0 0 0 1 0 0 0 20 0 11 0 77 1 2", "77"],
  ["12 (node) Z 1 12 12 0 -1 4194304 1 0 0 0 1 0 0 0 20 0 11 0 5551234 1 2", null],
  ["", null],
])("%s started at %s", (stat, expected) => {
  expect(parseProcStat(stat)).toBe(expected);
});
