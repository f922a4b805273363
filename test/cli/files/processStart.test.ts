import { existsSync } from "node:fs";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { parseProcStat, processProbe } from "../../../src/cli/files/processProbe.ts";
import { probeHere } from "../support/machine.ts";

// Systems without /proc have `ps`; a small Linux image has no `ps`.
const PLATFORMS = [...(existsSync("/proc/self/stat") ? ["linux"] : []), ...(existsSync("/bin/ps") ? ["darwin"] : [])];

test.each(PLATFORMS)("on %s this process has one start time, and an ended one has none", async (platform) => {
  const probe = probeHere(platform);
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

describe("on Windows", () => {
  const POWERSHELL = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe";

  function windows(root: string | undefined, printed: (pid: string) => string | null) {
    const asked: { file: string; args: readonly string[]; pid: string }[] = [];
    let time = 0;
    const machine = {
      platform: "win32",
      pid: 7,
      env: root === undefined ? {} : { SystemRoot: root },
      monotonic: () => time,
    };
    const probe = processProbe(machine, async (file, args, env) => {
      const pid = env.SECUREFLAG_PROBED_PID ?? "";
      asked.push({ file, args, pid });
      return printed(pid);
    });
    return { probe, asked, pass: (milliseconds: number) => (time += milliseconds) };
  }

  test("PowerShell is asked by its full path, and no part of its script comes from the process", async () => {
    const { probe, asked } = windows("C:\\Windows", () => "134139912000000000");
    expect(await probe(1234)).toBe("134139912000000000");
    expect(asked).toMatchObject([{ file: POWERSHELL, pid: "1234" }]);
    expect(asked[0]?.args.join(" ")).not.toContain("1234");
  });

  test.each([
    ["has ended", "C:\\Windows", null],
    ["cannot be asked about", "C:\\Windows", "Get-CimInstance : Access denied"],
  ])("a process that %s has no start time", async (_, root, printed) => {
    expect(await windows(root, () => printed).probe(1234)).toBeNull();
  });

  test.each([undefined, "Windows", "."])("without a full path to the system (%s) nothing runs", async (root) => {
    const { probe, asked } = windows(root, () => "1");
    expect([await probe(1234), asked]).toEqual([null, []]);
  });

  test("this process is asked about once, another one every two seconds", async () => {
    const { probe, asked, pass } = windows("C:\\Windows", (pid) => `${pid}0`);
    for (const wait of [0, 1_900, 1_900, 1_900]) {
      pass(wait);
      expect([await probe(7), await probe(8)]).toEqual(["70", "80"]);
    }
    expect(asked.map(({ pid }) => pid)).toEqual(["7", "8", "8"]);
  });
});
