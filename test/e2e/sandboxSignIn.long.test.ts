import { once } from "node:events";
import { chown, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { probeHere } from "../cli/support/machine.ts";
import { errorOf, type RunningCli, resultOf, runCli, startCli } from "../support/cli.ts";
import { removePlaces, temporaryDirectory } from "../support/places.ts";
import { waitFor } from "../support/wait.ts";

const LOGIN = ["login", "--sandbox", "--insecure-storage", "--json"];

let home: string;
let running: RunningCli[];

beforeEach(async () => {
  home = await temporaryDirectory();
  running = [];
});

afterEach(async () => {
  for (const each of running) each.kill("SIGKILL");
  await Promise.all(running.map(({ ended }) => ended));
});

afterAll(removePlaces);

const records = async () =>
  (await readdir(join(home, "config/running")).catch(() => [])).filter((name) => name.endsWith(".json"));

/** Starts a sandbox of this home, and waits until it is written down. */
async function start(): Promise<{ url: string; sandbox: RunningCli }> {
  const before = (await records()).length;
  const sandbox = await startCli(["sandbox", "--ephemeral", "--port", "0", "--json"], { home, timeout: 60_000 });
  running.push(sandbox);
  await waitFor(async () => (await records()).length > before, 20_000, "the sandbox to be written down");
  return { url: JSON.parse(sandbox.printed()).url, sandbox };
}

const run = (...args: string[]) => runCli(args, { home });

describe("login --sandbox", () => {
  test("signs in as the administrator, whose purchases are the sandbox's, and says how to go back", async () => {
    const { url, sandbox } = await start();
    const folder = join(home, "config/running");
    const [name = ""] = await records();
    expect([(await stat(folder)).mode & 0o777, (await stat(join(folder, name))).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(resultOf(await run(...LOGIN))).toMatchObject({ apiUrl: url, profile: "sandbox", user: { role: 0 } });
    expect(resultOf(await run("buy", "1", "--yes", "--json"))).toMatchObject({ purchase: { status: "succeeded" } });
    sandbox.kill("SIGTERM");
    expect((await sandbox.ended).exitCode).toBe(0);
    expect(await records()).toEqual([]);
  });

  test("names the sandboxes if several run, and takes the one of --api-url", async () => {
    const [one, two] = [await start(), await start()];
    const several = errorOf(await run(...LOGIN));
    expect(several).toMatchObject({ exitCode: 2, hint: expect.stringContaining("--api-url") });
    expect([several.message.includes(one.url), several.message.includes(two.url)]).toEqual([true, true]);
    const elsewhere = two.url.replace("127.0.0.1", "localhost");
    for (const flags of [
      ["--api-url", two.url],
      ["--api-url", elsewhere],
    ]) {
      expect(resultOf(await run(...LOGIN, ...flags))).toMatchObject({ apiUrl: two.url });
    }
    const inEnvironment = await runCli(LOGIN, { home, env: { SECUREFLAG_API_URL: two.url } });
    expect(resultOf(inEnvironment)).toMatchObject({ apiUrl: two.url });
    for (const { sandbox } of [one, two]) {
      sandbox.kill("SIGTERM");
      await sandbox.ended;
    }
    expect(await readdir(join(home, "config"))).not.toContain("running");
  });

  test("signs in to no other address, and warns of one in the environment", async () => {
    const { url } = await start();
    const other = errorOf(await run(...LOGIN, "--api-url", "https://billing.example"));
    expect(other).toMatchObject({ exitCode: 2, message: expect.stringContaining("No sandbox of yours is running at") });
    const env = { SECUREFLAG_API_URL: "https://billing.example" };
    const signedIn = await runCli(["login", "--sandbox", "--insecure-storage"], { home, env });
    expect(signedIn).toMatchObject({ exitCode: 0, stderr: expect.stringContaining("SECUREFLAG_API_URL is set to") });
    expect(signedIn.stdout).toContain(url);
  });

  test("says that none runs, also after one was killed", async () => {
    const none = { exitCode: 2, message: "No sandbox is running.", hint: expect.stringContaining("another terminal") };
    expect(errorOf(await run(...LOGIN))).toMatchObject(none);
    const { sandbox } = await start();
    sandbox.kill("SIGKILL");
    await sandbox.ended;
    expect(await records()).toHaveLength(1);
    expect(errorOf(await run(...LOGIN))).toMatchObject(none);
    expect(await records()).toEqual([]);
  });

  test.runIf(process.getuid?.() === 0)("is not prepared by root in another user's home", async () => {
    await chown(home, 65_534, 65_534);
    const sandbox = await startCli(["sandbox", "--ephemeral", "--port", "0", "--json"], { home, timeout: 60_000 });
    running.push(sandbox);
    await waitFor(() => sandbox.printed().includes("}"), 20_000, "the sandbox to run");
    await run("sandbox", "clock", "show", "--api-url", JSON.parse(sandbox.printed()).url);
    expect(await readdir(home)).not.toContain("config");
  });

  test("sends no password to what is no sandbox, though a record names it", async () => {
    const seen: string[] = [];
    const server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      response.writeHead(404, { "content-type": "application/json" }).end("{}");
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rest/management/v2`;
    const startedAt = await probeHere()(process.pid);
    const record = { url, pid: process.pid, startedAt, admin: { email: "a@b.example", password: "secret" } };
    await mkdir(join(home, "config/running"), { recursive: true, mode: 0o700 });
    await writeFile(join(home, "config/running/1.json"), JSON.stringify(record), { mode: 0o600 });
    const login = await run(...LOGIN);
    server.close();
    expect(errorOf(login)).toMatchObject({ exitCode: 2, code: "not_a_sandbox" });
    expect(seen).toEqual(["GET /sandbox"]);
  });

  test.each([["--email", "a@b.example"], ["--web"], ["--with-token"], ["--password-stdin"]])(
    "refuses %s",
    async (...flags) => {
      expect(errorOf(await run(...LOGIN, ...flags))).toMatchObject({ exitCode: 2 });
    },
  );

  test("goes on from another profile, and never replaces that of another backend", async () => {
    await start();
    const { url } = await start();
    const own = [...LOGIN.slice(0, -1), "--api-url", url];
    expect((await run(...own, "--profile", "first")).exitCode).toBe(0);
    const switched = await run(...own);
    expect(switched.stderr).toContain("profiles use first");
    expect(resultOf(await run("whoami", "--json"))).toMatchObject({ profile: "sandbox" });
    const settings = join(home, "config/settings.json");
    await writeFile(settings, (await readFile(settings, "utf8")).replaceAll(url, "https://billing.example/api"));
    expect(errorOf(await run(...LOGIN, "--api-url", url))).toMatchObject({
      exitCode: 2,
      message: "The profile sandbox is for https://billing.example/api.",
    });
  });
});
