import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, describe, expect, test } from "vitest";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { BIN, clearedEnvironment, removePlaces, temporaryDirectory } from "../support/places.ts";
import { widthOf } from "../support/screen.ts";

afterAll(removePlaces);

const COMMANDS = [
  "login",
  "logout",
  "whoami",
  "status",
  "quote",
  "buy",
  "top-up",
  "purchases",
  "users",
  "organizations",
  "tokens",
  "profiles",
  "api",
  "sandbox",
  "completion",
  "version",
];

describe("the program on its own", () => {
  test.each([["--version"], ["-V"], ["version"]])("%s", async (flag) => {
    const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
    expect(await runCli([flag])).toMatchObject({ exitCode: 0, stdout: `${version}\n`, stderr: "" });
  });

  test("version --json says what a bug report needs", async () => {
    const printed = resultOf(await runCli(["version", "--json"]));
    const { stdout: version } = await runCli(["--version"]);
    const { platform, arch } = process;
    expect(printed).toEqual({ version: version.trim(), node: process.versions.node, platform, arch });
  });

  test.each([[["--help"]], [["-h"]], [["help"]]])("%j names every command", async (args) => {
    const { exitCode, stdout } = await runCli(args);
    expect(exitCode).toBe(0);
    for (const command of COMMANDS) expect(stdout).toContain(command);
  });

  test("shows short help with two examples without arguments", async () => {
    const { exitCode, stdout, stderr } = await runCli([]);
    expect([0, 2]).toContain(exitCode);
    expect((stdout + stderr).match(/^\s*\$? ?secureflag-licenses \w+/gm)?.length).toBeGreaterThanOrEqual(2);
  });

  test.each(COMMANDS)("help %s prints the same as --help", async (command) => {
    const [asked, flagged] = await Promise.all([runCli(["help", command]), runCli([command, "--help"])]);
    expect(asked).toMatchObject({ exitCode: 0, stderr: "" });
    expect(asked.stdout).toBe(flagged.stdout);
    expect(asked.stdout).toContain("secureflag-licenses");
  });

  test("help exit-codes prints the table", async () => {
    const { exitCode, stdout } = await runCli(["help", "exit-codes"]);
    expect(exitCode).toBe(0);
    for (const code of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130])
      expect(stdout).toMatch(new RegExp(`^\\D*\\b${code}\\b`, "m"));
  });

  test.each([
    [["staus"], "status"],
    [["purchases", "lst"], "list"],
    [["buy", "5", "--dryrun"], "--dry-run"],
  ])("%j: exits with 2 and suggests the nearest match", async (args, nearest) => {
    const run = await runCli(args);
    expect(run).toMatchObject({ exitCode: 2, stdout: "" });
    expect(run.stderr).toContain(nearest);
    const json = await runCli([...args, "--json"]);
    expect(errorOf(json)).toMatchObject({ exitCode: 2 });
    expect(`${errorOf(json).message} ${errorOf(json).hint}`).toContain(nearest);
  });

  test.each([[["quote"]], [["buy"]], [["purchases", "show"]], [["quote", "5", "6"]]])(
    "%j: exits with 2 for a missing or extra argument",
    async (args) => {
      expect(await runCli(args)).toMatchObject({ exitCode: 2, stdout: "" });
    },
  );

  test("rejects a relative setting if the current directory was removed", async () => {
    const home = await temporaryDirectory();
    const shell = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"';
    const run = await execa("sh", ["-c", shell, process.execPath, BIN, "status", "--json"], {
      cwd: home,
      env: clearedEnvironment(home, { SECUREFLAG_CONFIG_DIR: "config" }),
      extendEnv: false,
      reject: false,
    });
    expect(run).toMatchObject({ exitCode: 2, stdout: "" });
    expect(JSON.parse(run.stderr).error).toMatchObject({ code: "settings_unreadable" });
  });

  describe("Node.js warnings", () => {
    const WARN = [
      'process.emitWarning("early");',
      'process.emitWarning("old", "DeprecationWarning", "DEP9999");',
      'setTimeout(() => process.emitWarning("late", "ExperimentalWarning"), 1).unref();',
    ].join("\n");
    const nowhere = { SECUREFLAG_API_URL: "http://127.0.0.1:9/x", SECUREFLAG_API_TOKEN: "sfl_x" };

    async function runWarned(...flags: string[]) {
      const preloaded = join(await temporaryDirectory(), "warn.cjs");
      await writeFile(preloaded, WARN);
      const env = { ...nowhere, NODE_OPTIONS: `--require ${preloaded}`, NODE_PENDING_DEPRECATION: "1" };
      return runCli(["status", "--org", "1", "--timeout", "1", ...flags], { env });
    }

    test("are hidden from stderr with --json", async () => {
      const run = await runWarned("--json");
      expect(errorOf(run)).toMatchObject({ code: "unreachable" });
    });

    test.each([[[]], [["--json", "--verbose"]]])("are shown with %j", async (flags) => {
      const { stderr } = await runWarned(...flags);
      for (const words of ["early", "DEP9999", "ExperimentalWarning: late"]) expect(stderr).toContain(words);
    });
  });

  test("fits help into 80 columns", async () => {
    const below = [
      "tokens create",
      "tokens revoke",
      "users list",
      "users add",
      "users import",
      "users remove",
      "profiles use",
      "purchases receipt",
      "purchases pay",
      "purchases cancel",
    ];
    for (const command of [...COMMANDS, ...below]) {
      expect(widthOf((await runCli([...command.split(" "), "--help"])).stdout), command).toBeLessThanOrEqual(80);
    }
  });

  test("handles closed stdin and closed outputs", async () => {
    const home = await temporaryDirectory();
    const shell = (redirection: string, ...args: string[]) =>
      execa("sh", ["-c", `exec "$0" "$@" ${redirection}`, process.execPath, BIN, ...args], {
        env: clearedEnvironment(home, { SECUREFLAG_API_URL: "http://127.0.0.1:1/rest/management/v2" }),
        extendEnv: false,
        reject: false,
        timeout: 20_000,
      });
    expect(await shell("<&-", "--help")).toMatchObject({ exitCode: 0 });
    expect(await shell("<&-", "login", "--email", "a@b.example", "--password-stdin")).toMatchObject({ exitCode: 2 });
    expect(await shell("<&-", "buy", "5")).toMatchObject({ exitCode: 2, stdout: "" });
    expect(await shell(">&-", "help", "exit-codes")).toMatchObject({ stderr: "" });
  });

  test.skipIf(!existsSync("/dev/full")).each([["--version"], ["--help"], ["help exit-codes"]])(
    "%s on a full disk: exits with 1 and a message, no stack",
    async (line) => {
      const run = await runCli(line.split(" "), { stdoutFile: "/dev/full" });
      expect(run).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("Cannot write the output") });
      expect(run.stderr).not.toContain("    at ");
    },
  );

  test("succeeds if a reader closes the pipe", async () => {
    const home = await temporaryDirectory();
    const { stderr } = await execa("sh", ["-c", `"$0" "$@" --help | head -n 1`, process.execPath, BIN], {
      env: clearedEnvironment(home),
      extendEnv: false,
      reject: false,
    });
    expect(stderr).toBe("");
  });
});
