import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasCompleteSqlite } from "../../src/backend/database/nodeSqlite.ts";
import { errorOf, type RunOptions, resultOf, runCli, startCli } from "../support/cli.ts";
import { newerNode } from "../support/newerNode.ts";
import { type Installed, installPacked } from "../support/packed.ts";
import { clearedEnvironment, ROOT, removePlaces, temporaryDirectory } from "../support/places.ts";
import { type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { ADMIN, organization, PASSWORD, seed, tokenOf } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";

/** An organization that nobody's token may see. */
const FOREIGN = 9;

/** Its own SQLite warns that it is experimental. */
const NODE_22 = newerNode(22);

let sandbox: RunningSandbox;
let installed: Installed;
/** What the installed program, and the sandbox, connected to. */
let [record, sandboxRecord] = ["", ""];

const watched = (file: string) => ({
  NODE_OPTIONS: `--require ${join(ROOT, "test/support/recordNetwork.cjs")}`,
  RECORD_NETWORK: file,
});

beforeAll(async () => {
  const folder = await temporaryDirectory();
  [record, sandboxRecord] = [join(folder, "program"), join(folder, "sandbox")];
  [sandbox, installed] = await Promise.all([
    startSandbox({ seed: seed(organization(1), organization(2), organization(FOREIGN)), env: watched(sandboxRecord) }),
    installPacked(),
  ]);
});

afterAll(async () => {
  await sandbox?.stop();
  await removePlaces();
});

/** Runs the installed program. */
function run(args: readonly string[], options: RunOptions = {}) {
  const env = { SECUREFLAG_API_URL: sandbox.ready.url, SECUREFLAG_ORGANIZATION: "1", ...watched(record) };
  return runCli(args, { ...options, bin: installed.bin, env: { ...env, ...options.env } });
}

describe("the packed program, installed on its own", () => {
  test("is one package with the licenses of its contents", async () => {
    const names = (await readdir(join(installed.directory, "node_modules"))).filter((name) => !name.startsWith("."));
    expect(names).toEqual(["secureflag-licenses"]);
    const files = await readdir(installed.root, { recursive: true });
    expect(files).toEqual(expect.arrayContaining(["dist/THIRD-PARTY-LICENSES.txt", "LICENSE", "README.md"]));
    const licenses = await readFile(join(installed.root, "dist/THIRD-PARTY-LICENSES.txt"), "utf8");
    for (const name of ["commander", "undici", "zod", "inquirer"])
      expect(licenses).toMatch(new RegExp(`^${name} \\d`, "m"));
  });

  test.concurrent("completes a typical session", async ({ expect }) => {
    const home = await temporaryDirectory();
    const json = async (...args: string[]) => {
      const ended = await run([...args, "--json"], { home });
      expect(ended).toMatchObject({ exitCode: 0, stderr: "" });
      return resultOf(ended);
    };
    const login = ["login", "--email", ADMIN, "--password-stdin", "--insecure-storage"];
    expect(await run(login, { home, input: `${PASSWORD}\n` })).toMatchObject({ exitCode: 0 });
    expect(await json("whoami")).toMatchObject({ user: { email: ADMIN }, organization: { id: 1 } });
    expect(await json("status")).toMatchObject({ licenses: { purchased: 25, used: 22, available: 3 } });
    expect(await json("quote", "5")).toMatchObject({ total: { amount: 24_410, currency: "GBP" }, verified: true });
    const bought = await json("buy", "5", "--yes", "--max-total", "244.10");
    expect(bought).toMatchObject({ purchase: { status: "succeeded" }, licenses: { purchased: 30 } });
    const { id } = bought.purchase as { id: string };
    expect(await json("purchases", "list")).toMatchObject([{ id, licenses: 5 }]);
    expect(await json("purchases", "receipt", id)).toMatchObject({ total: { amount: 24_410 } });
    expect(await json("top-up", "--available", "10", "--yes")).toMatchObject({ shortfall: 2, bought: 2 });
    expect(await sandbox.purchased(1)).toBe(32);
    expect(await run(["status"], { home })).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("32") });
  });

  test.concurrent("distinguishes failures, whichever file they come from", async ({ expect }) => {
    const nowhere = { SECUREFLAG_API_URL: "http://127.0.0.1:9/rest/management/v2" };
    const failures: [string[], Record<string, string>, { code: string; exitCode: number }][] = [
      [["buy", "many"], {}, { code: "invalid_usage", exitCode: 2 }],
      [["status"], { SECUREFLAG_API_TOKEN: "sfl_none" }, { code: "unauthenticated", exitCode: 4 }],
      [["status", "--org", String(FOREIGN)], {}, { code: "not_found", exitCode: 2 }],
      [["buy", "5", "--yes", "--max-total", "1", "--org", "2"], {}, { code: "max_total_exceeded", exitCode: 7 }],
      [["status", "--timeout", "1"], nowhere, { code: "unreachable", exitCode: 10 }],
    ];
    const token = { SECUREFLAG_API_TOKEN: tokenOf(2) };
    const ended = failures.map(([args, env]) => run([...args, "--json"], { env: { ...token, ...env } }));
    expect((await Promise.all(ended)).map(errorOf)).toMatchObject(failures.map(([, , expected]) => expected));
  });

  test.skipIf(NODE_22 === null)("runs a sandbox without libsql on Node.js 22, silently", async () => {
    const data = join(await temporaryDirectory(), "data");
    const program = { bin: installed.bin, node: NODE_22 ?? "" };
    const running = await startCli(["sandbox", "--port", "0", "--data", data], program);
    const url = await waitFor(() => /API_URL=(\S+)/.exec(running.printed())?.[1], 20_000, "the sandbox to be ready");
    const env = { SECUREFLAG_API_URL: url, SECUREFLAG_API_TOKEN: "sfl_sandbox_ci" };
    const bought = await runCli(["buy", "5", "--yes", "--json"], { ...program, env });
    expect(bought).toMatchObject({ exitCode: 0, stderr: "" });
    expect(resultOf(bought)).toMatchObject({ purchase: { status: "succeeded" }, licenses: { purchased: 30 } });
    running.kill("SIGTERM");
    expect(await running.ended).toMatchObject({ exitCode: 0, stderr: "" });
    const reset = await runCli(["sandbox", "reset", "--data", data, "--yes"], program);
    expect(reset).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await readdir(data)).toEqual([]);
  });

  test("reports what is missing for a sandbox without either SQLite", async () => {
    const env = hasCompleteSqlite(process.versions.node) ? { NODE_OPTIONS: "--no-experimental-sqlite" } : {};
    const ended = errorOf(await run(["sandbox", "--ephemeral", "--port", "0", "--json"], { env }));
    expect(ended).toMatchObject({ exitCode: 2, code: "sqlite_missing" });
  });

  test("connects only to the configured backend, and so does a sandbox", async () => {
    const { host } = new URL(sandbox.ready.url);
    const seen = new Set((await readFile(record, "utf8")).trim().split("\n"));
    expect(seen).toEqual(new Set([`connect ${host}`, "connect 127.0.0.1:9"]));
    // The address that it listens at.
    expect(await readFile(sandboxRecord, "utf8")).toBe("look up 127.0.0.1\n");
  });

  test("is monitored by a check that works", async () => {
    const file = join(await temporaryDirectory(), "record");
    const script = `
      require("node:http").get("http://localhost:9").on("error", () => {});
      require("node:dns").promises.resolve4("nowhere.invalid").catch(() => {});
      require("node:dgram").createSocket("udp4").unref().send("x", 9, "127.0.0.1");
      require("node:child_process").execFile("true");
    `;
    const env = clearedEnvironment(file, watched(file));
    await execa(process.execPath, ["-e", script], { env, extendEnv: false });
    const seen = await readFile(file, "utf8");
    for (const line of ["connect localhost:9", "look up nowhere.invalid", "send x 9 127.0.0.1", "start true"])
      expect(seen).toContain(line);
  });
});
