import { execFile } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { errorOf, type RunResult, resultOf, runCli, startCli } from "../support/cli.ts";
import { HAS_KEYRING, type RunningKeyring, startKeyring, startSilentBus } from "../support/keyrings.ts";
import { temporaryDirectory } from "../support/places.ts";
import { organization, seed, tokenOf } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";
import { waitFor } from "../support/wait.ts";

// Several programs in a row, on a machine that may be busy.
vi.setConfig({ testTimeout: 120_000 });

const TOKEN_LOGIN = ["login", "--with-token", "--json"];
/** A call may take five seconds, and a busy machine has to start a process or two. */
const LIMIT_MS = 12_000;

const sandbox = useSandbox({ seed: seed(organization(1)) });

/** Runs the built program without a token in the environment. */
function run(args: readonly string[], home: string, env: Readonly<Record<string, string>>): Promise<RunResult> {
  const input = args.includes("--with-token") ? tokenOf(1) : undefined;
  const urls = { SECUREFLAG_API_URL: sandbox.ready.url };
  return runCli(args, { home, env: { ...urls, ...env }, timeout: LIMIT_MS, ...(input !== undefined && { input }) });
}

/** The processes of the keyring that still run, by their environment: every bus has an address of its own. */
async function keyringProcesses(address: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)("ps", ["axeww", "-o", "pid,args"]);
  return stdout.split("\n").filter((line) => line.includes("dist/keyring.js") && line.includes(address));
}

describe.skipIf(!HAS_KEYRING)("a real keyring", () => {
  let keyring: RunningKeyring;

  beforeAll(async () => {
    keyring = await startKeyring();
  });

  afterAll(async () => {
    await keyring?.[Symbol.asyncDispose]();
  });

  test("keeps the sign-in while unlocked, and is reported as locked when locked", async () => {
    const home = await temporaryDirectory();
    const { env } = keyring;
    expect(resultOf(await run(TOKEN_LOGIN, home, env))).toMatchObject({ token: { source: "keyring" } });
    expect(await readFile(join(home, "config/credentials.json"), "utf8")).not.toContain(tokenOf(1));
    const several = await Promise.all([1, 2, 3].map(() => run(["whoami", "--json"], home, env)));
    for (const each of several) expect(resultOf(each)).toMatchObject({ token: { source: "keyring" } });
    await keyring.lock();
    for (const args of [["status", "--json"], ["logout", "--json"], TOKEN_LOGIN]) {
      expect(errorOf(await run(args, home, env))).toMatchObject({ exitCode: 2, code: "keyring_locked" });
    }
    const inFile = await run([...TOKEN_LOGIN, "--insecure-storage"], home, env);
    expect(resultOf(inFile)).toMatchObject({ token: { source: "file" } });
    expect((await run(["status", "--json"], home, env)).exitCode).toBe(0);
    expect((await run(["logout", "--json"], home, env)).exitCode).toBe(0);
    expect(await keyringProcesses(env.DBUS_SESSION_BUS_ADDRESS ?? "")).toEqual([]);
  });
});

describe("a message bus that never responds", () => {
  test("is not contacted if no keyring entry is needed", async () => {
    await using bus = await startSilentBus();
    const home = await temporaryDirectory();
    const token = { SECUREFLAG_API_TOKEN: tokenOf(1) };
    expect(errorOf(await run(["status", "--json"], home, bus.env))).toMatchObject({ code: "not_signed_in" });
    expect((await run(["status"], home, { ...bus.env, ...token })).exitCode).toBe(0);
    expect((await run([...TOKEN_LOGIN, "--insecure-storage"], home, bus.env)).exitCode).toBe(0);
    for (const args of [["status"], ["whoami"], ["profiles", "list"], ["--version"], ["logout"]]) {
      expect((await run(args, home, bus.env)).exitCode).toBe(0);
    }
    expect(bus.connections()).toBe(0);
  });

  test("ends a sign-in after five seconds, before anything is sent, and leaves no process behind", async () => {
    await using bus = await startSilentBus();
    const home = await temporaryDirectory();
    const ended = await run(["login", "--with-token", "--verbose"], home, bus.env);
    expect(ended).toMatchObject({ exitCode: 2, stdout: "" });
    expect(ended.stderr).toContain("The system keyring did not answer within 5 seconds");
    expect(ended.stderr).not.toContain("/me");
    expect(bus.connections()).toBe(1);
    expect(await keyringProcesses(bus.env.DBUS_SESSION_BUS_ADDRESS ?? "")).toEqual([]);
  });

  test.each(["SIGINT", "SIGKILL"] as const)("%s ends the program and its helper process at once", async (signal) => {
    await using bus = await startSilentBus();
    const home = await temporaryDirectory();
    const env = { ...bus.env, SECUREFLAG_API_URL: sandbox.ready.url };
    const running = await startCli(TOKEN_LOGIN, { home, env, input: tokenOf(1), timeout: LIMIT_MS });
    await waitFor(() => bus.connections() > 0, LIMIT_MS, "the keyring to be asked");
    const began = performance.now();
    running.kill(signal);
    expect((await running.ended).exitCode).toBe(signal === "SIGINT" ? 130 : 137);
    expect(performance.now() - began).toBeLessThan(3_000);
    const address = bus.env.DBUS_SESSION_BUS_ADDRESS ?? "";
    await waitFor(async () => (await keyringProcesses(address)).length === 0, 3_000, "the process to end");
  });
});

test("without a keyring, --verbose shows the reason", async () => {
  const home = await temporaryDirectory();
  await mkdir(join(home, "config"));
  const ended = await run(["login", "--with-token", "--verbose"], home, {
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${home}/none`,
  });
  expect(ended.exitCode).toBe(2);
  expect(ended.stderr).toContain("The system keyring is not available");
  expect(ended.stderr).toMatch(/Caused by: KeyringError: .*(D-?Bus|socket)/i);
});
