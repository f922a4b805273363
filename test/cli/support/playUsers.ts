import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { afterAll } from "vitest";
import { runProgram } from "../../../src/cli/main.ts";
import { API_URL, ORGANIZATION } from "./builders.ts";
import { type FakeWorld, fakeContext } from "./fakeContext.ts";
import { type ExpectedCall, scriptedClient } from "./script.ts";

/** The environment of a command about users, with a token. */
export const ENV = {
  SECUREFLAG_API_TOKEN: "t",
  SECUREFLAG_API_URL: API_URL,
  SECUREFLAG_ORGANIZATION: String(ORGANIZATION),
};

/** Runs a command about users against a scripted client; `told` is stderr on one line, without escape sequences. */
export async function play(line: string | readonly string[], script: readonly ExpectedCall[], world: FakeWorld = {}) {
  const scripted = scriptedClient(script);
  const context = fakeContext({ ...world, env: { ...ENV, ...world.env }, client: scripted.client });
  const code = await runProgram(typeof line === "string" ? line.split(" ") : line, context);
  scripted.assertDone();
  const told = stripVTControlCharacters(context.written.stderr).replaceAll(/\s+/g, " ");
  return { code, ...context.written, told, questions: context.questions, context };
}

/** Returns a function that writes a CSV file of the test file's own, and returns its path. */
export function useCsvFiles(): (text: string) => string {
  const directory = mkdtempSync(join(tmpdir(), "users-"));
  let files = 0;
  afterAll(() => rmSync(directory, { recursive: true }));
  return (text) => {
    files += 1;
    const path = join(directory, `users-${files}.csv`);
    writeFileSync(path, text);
    return path;
  };
}
