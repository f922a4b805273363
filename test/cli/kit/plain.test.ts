import { describe, expect, it } from "vitest";
import { renderComparison } from "../../../src/cli/buying/priceChart.ts";
import { colorLevel } from "../../../src/cli/kit/color.ts";
import { isPlain } from "../../../src/cli/kit/plain.ts";
import { withProgressBar } from "../../../src/cli/kit/spinner.ts";
import { runProgram } from "../../../src/cli/main.ts";
import { API_URL, me, quote, subscription, verified } from "../support/builders.ts";
import { fakeContext } from "../support/fakeContext.ts";
import { scriptedClient } from "../support/script.ts";

const options = { json: false, color: true, quiet: false, verbose: false };

describe("plain output", () => {
  it.each([
    [{ ACCESSIBLE: "1" }, true],
    [{ ACCESSIBLE: "yes" }, true],
    [{ TERM: "dumb" }, true],
    [{ TERM: "dumb", ACCESSIBLE: "0" }, true],
    [{ ACCESSIBLE: "" }, false],
    [{ ACCESSIBLE: "0" }, false],
    [{ ACCESSIBLE: "False" }, false],
    [{ TERM: "xterm-256color" }, false],
    [{}, false],
  ])("with %j: %s", (env, expected) => {
    expect(isPlain(env)).toBe(expected);
    expect(colorLevel({ env, isTerminal: true, color: true })).toBe(expected ? 0 : 1);
  });

  it("says in words how many licenses are used", async () => {
    const { client } = scriptedClient([
      { call: "subscription", gives: subscription() },
      { call: "me", gives: me() },
    ]);
    const env = { SECUREFLAG_API_URL: API_URL, SECUREFLAG_API_TOKEN: "t", SECUREFLAG_ORGANIZATION: "4201" };
    const context = fakeContext({ env: { ...env, ACCESSIBLE: "1" }, client, isTerminal: true, isStdoutTerminal: true });
    expect(await runProgram(["status"], context)).toBe(0);
    expect(context.written.stdout).toContain("25 purchased, 22 used, 3 available, 88% used");
    expect(context.written.stdout).not.toMatch(/[█░\u001b]/);
  });

  it("compares prices without bars", async () => {
    const offers = [1, 5].map((count) => ({ subscription: subscription(), quote: verified(quote(count)) }));
    const style = Object.fromEntries("bold dim green yellow red cyan".split(" ").map((name) => [name, String]));
    const view = { width: 80, style } as unknown as Parameters<typeof renderComparison>[1];
    expect(renderComparison(offers, view)).toContain("█");
    expect(renderComparison(offers, { ...view, isPlain: true })).not.toContain("█");
  });

  it("draws no progress", async () => {
    const context = fakeContext({ isTerminal: true, env: { ACCESSIBLE: "1" }, isSlow: true });
    const work = async (show: (done: number, total: number) => void) => {
      show(1, 2);
      await new Promise((done) => setTimeout(done, 20));
      return "done";
    };
    expect(await withProgressBar(context, options, "Exporting", work)).toBe("done");
    expect(context.written.stderr).toBe("Exporting …\n");
  });
});
