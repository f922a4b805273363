import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { BIN, clearedEnvironment, temporaryDirectory } from "../support/places.ts";
import { environmentFor } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";

const sandbox = useSandbox({ seed: seed(organization(1)) });

/** What would be asked in a terminal, and the flag that gives the answer. */
const ASKING: readonly (readonly [args: string[], flag: string])[] = [
  [["buy", "5"], "--yes"],
  [["top-up", "--available", "8"], "--yes"],
  [["purchases", "cancel", "pur_0123456789abcdef01234567"], "--yes"],
  [["purchases", "pay", "pur_0123456789abcdef01234567"], "--yes"],
  [["profiles", "remove", "default"], "--yes"],
  [["licenses", "reduce", "23"], "--yes"],
  [["licenses", "reduce", "--cancel"], "--yes"],
  [["tokens", "revoke", "tok_0123456789abcdef01234567"], "--yes"],
  [["users", "remove", "ada@northwind.example"], "--yes"],
  [["sandbox", "reset"], "--yes"],
  [["login"], "--with-token"],
  [["login", "--email", "admin@northwind.example"], "--password-stdin"],
];

/** Ways of having nobody to ask; what is piped in is no answer. */
const WAYS: readonly (readonly [way: string, shell: string, env: Record<string, string>])[] = [
  ["stdin is closed", '"$0" "$@" <&-', {}],
  ["stdin is /dev/null", '"$0" "$@" </dev/null', {}],
  ["an answer is piped in", 'printf "y\\ny\\n" | "$0" "$@"', {}],
  ["CI is set", 'yes | "$0" "$@"', { CI: "true" }],
];

describe.each(ASKING)("%j does not prompt", (args, flag) => {
  test.each(WAYS)("exits with 2 at once and names the flag when %s", async (_, shell, extra) => {
    const env = { ...clearedEnvironment(await temporaryDirectory(), environmentFor(sandbox.ready.url, 1)), ...extra };
    const began = (await sandbox.purchases(1)).length;
    const run = await execa("sh", ["-c", shell, process.execPath, BIN, ...args], {
      env,
      extendEnv: false,
      reject: false,
      timeout: 10_000,
    });
    expect(run).toMatchObject({ exitCode: 2, stdout: "" });
    expect(run.stderr.replaceAll(/\s+/g, " ")).toContain(flag);
    expect((await sandbox.purchases(1)).length).toBe(began);
  });
});
