import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { checkpointOf, exportOf, logKey, logOf } from "../../support/eventLog.ts";
import { API_URL } from "../support/builders.ts";
import { type FakeWorld, fakeContext } from "../support/fakeContext.ts";
import { temporaryDirectory } from "../support/machine.ts";

const env = { SECUREFLAG_API_URL: API_URL, SECUREFLAG_API_TOKEN: "t", SECUREFLAG_ORGANIZATION: "1" };

/** Whatever is sent fails the test. */
async function play(line: string, world: FakeWorld) {
  const context = fakeContext({ env, ...world });
  const code = await runProgram(line.split(" "), context);
  return { code, ...context.written };
}

describe("a file on stdin", () => {
  it.each([
    "buy --from -",
    "buy --from - --yes",
    "users import -",
    "users sync -",
    "users remove - --yes",
    "events verify -",
    "events verify log.jsonl --key -",
    "sandbox --ephemeral --seed -",
    "serve admin import -",
    "api POST /organizations/1/quotes --yes --body -",
  ])("is not typed: %s exits with 2 in a terminal", async (line) => {
    const { code, stdout, stderr } = await play(line, { isTerminal: true });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("No input on stdin");
  });

  it.each([
    ["events verify - --checkpoint -", "<file> and --checkpoint"],
    ["events verify log.jsonl --checkpoint - --key -", "--checkpoint and --key"],
  ])("is only one: %s", async (line, names) => {
    const { code, stderr } = await play(line, { input: "" });
    expect(code).toBe(2);
    expect(stderr).toContain(`${names} cannot both be -.`);
  });

  it("may be a log, its checkpoint or its key", async () => {
    const key = logKey();
    const log = exportOf(logOf(3), key);
    const text = log.map((one) => `${JSON.stringify(one)}\n`).join("");
    const file = join(temporaryDirectory(), "log.jsonl");
    writeFileSync(file, text);
    expect(await play("events verify -", { input: text })).toMatchObject({ code: 0, stderr: "" });
    const older = `${JSON.stringify(checkpointOf(logOf(2), key))}\n`;
    const continued = await play(`events verify ${file} --checkpoint - --json`, { input: older });
    expect(continued.code).toBe(0);
    expect(JSON.parse(continued.stdout)).toMatchObject({ signer: "verified", olderCheckpoint: { number: 2 } });
    const cut = await play("events verify -", { input: text.slice(0, -20) });
    expect(cut.code).toBe(7);
    expect(cut.stderr).toContain("of stdin)");
    expect((await play(`events verify ${file} --key -`, { input: "no key" })).stderr).toContain("Cannot read stdin");
  });
});
