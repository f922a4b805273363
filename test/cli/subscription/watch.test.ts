import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { ClientError } from "../../../src/client/errors.ts";
import { API_URL, subscription } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "../support/script.ts";

const env = { SECUREFLAG_API_URL: API_URL, SECUREFLAG_API_TOKEN: "t", SECUREFLAG_ORGANIZATION: "4201" };

const reads = (change: Parameters<typeof subscription>[0] = {}): ExpectedCall => ({
  call: "subscription",
  gives: subscription(change),
});

const fails = (code: "unreachable" | "unauthenticated"): ExpectedCall => ({
  call: "subscription",
  fails: new ClientError(code, `It is ${code}`),
});

const MORE = { licenses: { purchased: 30, used: 22, available: 8 } };

const LATER = { asOf: "2026-11-22T10:05:00Z" };

/** Ends with the last call of the script, which has to fail for good. */
async function watch(line: string, script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ env, ...world, client: scripted.client });
  const code = await runProgram(line.split(" "), context);
  scripted.assertDone();
  return { code, time: context.clock.monotonic(), ...context.written };
}

describe("status --watch", () => {
  it("shows the subscription again when something changed, and not when only time went by", async () => {
    const script = [reads(), reads(LATER), reads(MORE), fails("unauthenticated")];
    const { code, stdout, time } = await watch("status --watch", script);
    expect(code).toBe(4);
    expect(stdout.match(/\d+ purchased/g)).toEqual(["25 purchased", "30 purchased"]);
    expect(stdout).not.toContain("\u001b");
    expect(time).toBe(90_000);
  });

  it("draws it in place on a terminal, and below with ACCESSIBLE", async () => {
    const script = [reads(), reads(MORE), fails("unauthenticated")];
    const drawn = await watch("status --watch 5", script, { isTerminal: true, isStdoutTerminal: true });
    expect(drawn.stdout.split("\u001b[2J\u001b[H")).toHaveLength(3);
    expect(drawn.time).toBe(10_000);
    const plain = { isTerminal: true, isStdoutTerminal: true, env: { ...env, ACCESSIBLE: "1" } };
    expect((await watch("status --watch 5", script, plain)).stdout).not.toContain("\u001b");
  });

  it("prints one line of JSON for each change, also on a terminal", async () => {
    const script = [reads(), reads(MORE), fails("unauthenticated")];
    const { stdout } = await watch("status --watch --json", script, { isStdoutTerminal: true });
    const lines = stdout.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line).licenses.purchased)).toEqual([25, 30]);
  });

  it("goes on after failures that may pass, more slowly, and then as before", async () => {
    const script = [reads(), fails("unreachable"), fails("unreachable"), reads(MORE), fails("unauthenticated")];
    const { code, stdout, stderr, time } = await watch("status --watch 10", script);
    expect({ code, time }).toEqual({ code: 4, time: 80_000 });
    expect(stdout).toContain("30 purchased");
    expect(stderr).toContain("It is unreachable. Trying again in 20 seconds.");
    expect(stderr).toContain("It is unreachable. Trying again in 40 seconds.");
  });

  it("waits five minutes at most, and never less than it was told", async () => {
    const failing = Array.from({ length: 6 }, () => fails("unreachable"));
    const { stderr } = await watch("status --watch 200", [reads(), ...failing, fails("unauthenticated")]);
    expect(stderr).toContain("Trying again in 300 seconds.");
    const slow = await watch("status --watch 900", [reads(), fails("unreachable"), fails("unauthenticated")]);
    expect(slow.stderr).toContain("Trying again in 900 seconds.");
  });

  it("ends at once if the first reading fails", async () => {
    expect((await watch("status --watch", [fails("unreachable")])).code).toBe(10);
  });

  it.each(["--watch 4", "--watch 0", "--watch x", "--watch --fail-if-past-due", "--watch --fail-if-available-below 3"])(
    "refuses %s",
    async (flags) => {
      expect((await watch(`status ${flags}`, [])).code).toBe(2);
    },
  );
});
