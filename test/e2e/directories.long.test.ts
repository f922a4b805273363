import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, chown, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import manifest from "../../package.json";
import { BIN, temporaryDirectory } from "../support/places.ts";
import { environmentFor } from "../support/sandbox.ts";
import { useSandbox } from "../support/useSandbox.ts";

/** A number that no account has. */
const USER = 123_456;
const NOTHING_LISTENS = "http://127.0.0.1:9/rest/management/v2";

const sandbox = useSandbox();

type Env = Record<string, string>;
type Options = { cwd?: string; uid?: number; nodeArguments?: readonly string[] };

/** Runs the built program in this environment and no other. */
function run(args: readonly string[], env: Env, { nodeArguments = [], ...options }: Options = {}) {
  return execa(process.execPath, [...nodeArguments, BIN, ...args], {
    env: { PATH: process.env.PATH ?? "", ...env },
    extendEnv: false,
    reject: false,
    timeout: 20_000,
    stdin: "ignore",
    cwd: options.cwd ?? "/",
    ...(options.uid !== undefined && { uid: options.uid, gid: 0 }),
  });
}

const signedIn = (): Env => {
  const { SECUREFLAG_ORGANIZATION: _, ...rest } = environmentFor(sandbox.ready.url, sandbox.ready.organizationId);
  return { ...rest, SECUREFLAG_API_TOKEN: sandbox.ready.token ?? "" };
};

describe("a SECUREFLAG_CONFIG_DIR that depends on the current directory", () => {
  test.each([".sfl", "~ada/.sfl", "$HOME/.sfl", "sfl"])("%s: exits with 2, and nothing is sent", async (directory) => {
    const home = await temporaryDirectory();
    const env = { HOME: home, SECUREFLAG_CONFIG_DIR: directory, SECUREFLAG_API_URL: NOTHING_LISTENS };
    for (const more of [{}, { SECUREFLAG_ORGANIZATION: "1", SECUREFLAG_API_TOKEN: "t" }]) {
      const ended = await run(["buy", "1", "--yes", "--json"], { ...env, ...more }, { cwd: home });
      expect(ended).toMatchObject({ exitCode: 2, stdout: "" });
      expect(ended.stderr).toContain("SECUREFLAG_CONFIG_DIR");
    }
    expect(await readdir(home)).toEqual([]);
  });

  test("is ignored by commands that need no directory", async () => {
    const env = { SECUREFLAG_CONFIG_DIR: ".sfl" };
    for (const args of [["--version"], ["--help"], ["help", "ci"], ["completion", "bash"], ["buy", "--help"]]) {
      expect(await run(args, env), args.join(" ")).toMatchObject({ exitCode: 0, stderr: "" });
    }
  });

  test.each<[string, Env]>([
    ["a literal ~", { SECUREFLAG_CONFIG_DIR: "~/.config/secureflag-licenses" }],
    ["a relative XDG_CONFIG_HOME", { XDG_CONFIG_HOME: "cfg" }],
    ["an empty SECUREFLAG_CONFIG_DIR", { SECUREFLAG_CONFIG_DIR: "", XDG_CONFIG_HOME: "" }],
  ])("%s: the journal of a killed purchase is in the home directory", async (_, env) => {
    const home = await temporaryDirectory();
    const elsewhere = await temporaryDirectory();
    const killed = { ...signedIn(), ...env, HOME: home, SECUREFLAG_CRASH_AT: "C1" };
    expect(await run(["buy", "1", "--yes"], killed, { cwd: elsewhere })).toMatchObject({ signal: "SIGKILL" });
    expect(await readdir(join(home, ".config", "secureflag-licenses", "journal"))).toHaveLength(1);
    expect(await readdir(elsewhere)).toEqual([]);
  });
});

const canBeAnother = process.getuid?.() === 0 && spawnSync(process.execPath, [BIN, "-V"], { uid: USER }).status === 0;

// Only root can become another user.
describe.skipIf(!canBeAnother)("a user without an account and HOME", () => {
  test("reads, and buys if SECUREFLAG_CONFIG_DIR sets the journal's directory", async () => {
    const directory = await temporaryDirectory();
    await chown(directory, USER, 0);
    const env = { ...signedIn(), SECUREFLAG_CONFIG_DIR: directory };
    expect(await run(["status", "--json"], env, { uid: USER })).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await run(["buy", "1", "--yes", "--json"], env, { uid: USER })).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test("reads without it, but exits with 2 and names it for every change to stored data", async () => {
    const env = signedIn();
    for (const args of [["status"], ["purchases", "list"], ["profiles", "list"], ["whoami"], ["completion", "zsh"]]) {
      expect(await run([...args, "--json"], env, { uid: USER }), args[0]).toMatchObject({ exitCode: 0, stderr: "" });
    }
    for (const args of [
      ["buy", "1", "--yes"],
      ["login", "--email", "a@b.example", "--password-stdin"],
    ]) {
      const ended = await run([...args, "--json"], env, { uid: USER });
      expect(ended).toMatchObject({ exitCode: 2, stdout: "" });
    }
    expect((await run(["buy", "1", "--yes"], env, { uid: USER })).stderr).toContain("SECUREFLAG_CONFIG_DIR");
    const started = await run(["sandbox", "--port", "0"], env, { uid: USER });
    expect(started).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("--data") });
  });

  test("gets the command to reclaim settings that root owns after one sudo login", async () => {
    const home = await temporaryDirectory();
    await chown(home, USER, 0);
    await chmod(home, 0o755);
    await mkdir(join(home, ".config", "secureflag-licenses"), { recursive: true, mode: 0o700 });
    await writeFile(join(home, ".config", "secureflag-licenses", "settings.json"), "{}", { mode: 0o600 });
    const ended = await run(["status", "--json"], { ...signedIn(), HOME: home }, { uid: USER });
    expect(ended.exitCode).toBe(2);
    const { message, hint } = JSON.parse(ended.stderr).error;
    expect(message).toContain("belongs to root");
    expect(hint).toContain(`sudo chown -R "$USER" "${home}/.config"`);
  });
});

/** Gives every Node.js the switch of the newer ones, and refuses what hangs them where nothing can be made. */
const CACHING = `
  const fs = require("node:fs");
  const { mkdirSync } = fs;
  fs.mkdirSync = (path, options) => {
    if (options && options.recursive) throw new Error("recursive");
    return mkdirSync(path, options);
  };
  require("node:module").enableCompileCache = (folder) => fs.writeSync(2, "cache in " + folder + "\\n");
`;

describe("the directory of compiled code", () => {
  async function cacheOf(env: Env, options: Options = {}): Promise<string> {
    const preload = join(await temporaryDirectory(), "caching.cjs");
    await writeFile(preload, CACHING);
    const nodeArguments = ["--require", preload];
    const ended = await run(
      ["help", "exit-codes"],
      { SECUREFLAG_CONFIG_DIR: "/c", ...env },
      { ...options, nodeArguments },
    );
    expect(ended.exitCode).toBe(0);
    return ended.stderr;
  }

  test("is the user's own, and created if missing", async () => {
    const home = await temporaryDirectory();
    expect(await cacheOf({ HOME: home })).toBe(`cache in ${home}/.cache/secureflag-licenses`);
    expect(await cacheOf({ HOME: home, XDG_CACHE_HOME: "" })).toBe(`cache in ${home}/.cache/secureflag-licenses`);
    expect(await cacheOf({ HOME: home, XDG_CACHE_HOME: "rel" }, { cwd: home })).toBe(
      `cache in ${home}/.cache/secureflag-licenses`,
    );
    expect(await cacheOf({ HOME: home, XDG_CACHE_HOME: `${home}/x` })).toBe(`cache in ${home}/x/secureflag-licenses`);
    expect(await readdir(home)).toEqual([".cache", "x"]);
  });

  test("is disabled if NODE_DISABLE_COMPILE_CACHE is set", async () => {
    const home = await temporaryDirectory();
    expect(await cacheOf({ HOME: home, NODE_DISABLE_COMPILE_CACHE: "1" })).toBe("");
    expect(await readdir(home)).toEqual([]);
  });

  test.skipIf(!existsSync("/proc/self"))("is disabled if it cannot be created", async () => {
    const place = await temporaryDirectory();
    await writeFile(join(place, "file"), "");
    spawnSync("sh", ["-c", 'mkfifo "$0"', join(place, "fifo")]);
    for (const path of ["/proc/none", "/proc", join(place, "file"), join(place, "fifo"), join(place, "a/b")]) {
      expect(await cacheOf({ HOME: place, XDG_CACHE_HOME: path }), path).toBe("");
    }
    expect(await cacheOf({ HOME: "/proc/none" })).toBe("");
  });

  test("is disabled if others could add code", async () => {
    const home = await temporaryDirectory();
    await cacheOf({ HOME: home });
    const folder = join(home, ".cache", "secureflag-licenses");
    await chmod(folder, 0o777);
    expect(await cacheOf({ HOME: home })).toBe("");
    await rm(folder, { recursive: true });
    await writeFile(folder, "");
    expect(await cacheOf({ HOME: home })).toBe("");
  });

  test.skipIf(process.getuid?.() !== 0)("is never root's in another user's home", async () => {
    const home = await temporaryDirectory();
    await chown(home, USER, 0);
    expect(await cacheOf({ HOME: home })).toBe("");
    expect(await readdir(home)).toEqual([]);
  });
});

test("a program that cannot be loaded reports it in one sentence, and where to report it", async () => {
  const folder = await temporaryDirectory();
  await mkdir(join(folder, "bin"));
  await mkdir(join(folder, "dist"));
  await writeFile(join(folder, "bin", "package.json"), '{"type":"commonjs"}');
  await execa("cp", [BIN, join(folder, "bin")]);
  await writeFile(join(folder, "dist", "package.json"), '{"type":"module"}');
  const broken = 'export const createContext = () => { throw new Error("no streams"); }; export const main = null;';
  for (const main of [null, broken]) {
    if (main !== null) await writeFile(join(folder, "dist", "main.js"), main);
    for (const more of [[], ["--json"]]) {
      const args = [join(folder, "bin", "secureflag-licenses.js"), "status", ...more];
      const ended = await execa(process.execPath, args, { reject: false, env: { HOME: folder } });
      expect(ended).toMatchObject({ exitCode: 1, stdout: "" });
      expect(ended.stderr).toContain("cannot run");
      expect(ended.stderr).toContain(manifest.bugs.url);
      expect(ended.stderr).not.toMatch(/^\s+at /m);
      if (more.length > 0) expect(JSON.parse(ended.stderr).error).toMatchObject({ exitCode: 1 });
    }
  }
});
