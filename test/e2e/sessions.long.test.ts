import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Libsql from "libsql";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { errorOf, resultOf, runCli, startCli } from "../support/cli.ts";
import { decideOnPage } from "../support/devicePage.ts";
import { FaultProxy } from "../support/faultProxy.ts";
import { removePlaces, temporaryDirectory } from "../support/places.ts";
import { type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { ADMIN, organization, PASSWORD, seed, token, tokenOf, user } from "../support/seed.ts";
import { KEYS, runInTerminal, type TerminalRun } from "../support/terminal.ts";
import { freshCode } from "../support/totp.ts";
import { waitFor } from "../support/wait.ts";

const CODES = "codes@northwind.example";
const BUYER = "buyer@northwind.example";
const SCRIPT = "script@northwind.example";
/** A code of each works once, so that one person alone would have to wait for the next ones. */
const SECRETS: Readonly<Record<string, string>> = {
  [CODES]: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
  [BUYER]: "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU",
  [SCRIPT]: "MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK",
};
const STALE_MS = 16 * 60_000;

let data: string;
let sandbox: RunningSandbox;
let proxy: FaultProxy;
let terminals: TerminalRun[] = [];

beforeAll(async () => {
  data = join(await temporaryDirectory(), "data");
  sandbox = await startSandbox({
    data,
    seed: seed(
      organization(1, {
        users: [user({}), ...Object.entries(SECRETS).map(([email, totpSecret]) => user({ email, totpSecret }))],
        tokens: [token(1, {})],
      }),
    ),
  });
  proxy = await FaultProxy.start(sandbox.ready.url);
});

afterEach(() => {
  for (const terminal of terminals) terminal.close();
  terminals = [];
});

afterAll(async () => {
  await proxy?.close();
  await sandbox?.stop();
  await removePlaces();
});

const env = (url = sandbox.ready.url) => ({ SECUREFLAG_API_URL: url });
const credentialsOf = (home: string) => join(home, "config", "credentials.json");

async function open(args: readonly string[], options: Parameters<typeof runInTerminal>[1]): Promise<TerminalRun> {
  const terminal = await runInTerminal(args, options);
  terminals.push(terminal);
  return terminal;
}

const codeOf = (email: string) => freshCode(SECRETS[email] ?? "");

async function signIn(email: string, url = sandbox.ready.url): Promise<string> {
  const args = ["login", "--email", email, "--password-stdin", "--insecure-storage", "--json"];
  if (email in SECRETS) args.push("--totp", await codeOf(email));
  const run = await runCli(args, { env: env(url), input: PASSWORD });
  expect(run).toMatchObject({ exitCode: 0 });
  return run.home;
}

/** Lets the access token of a home look expired, so that the next command renews it. */
async function expire(home: string): Promise<void> {
  const kept = JSON.parse(await readFile(credentialsOf(home), "utf8"));
  kept.profiles.default.accessExpiresAt = 0;
  await writeFile(credentialsOf(home), JSON.stringify(kept));
}

/** Lets every one-time code have been given 16 minutes ago. A sandbox owns its data while it runs. */
async function ageCodes(): Promise<void> {
  const port = Number(new URL(sandbox.ready.url).port);
  await sandbox.stop();
  const database = new Libsql(join(data, "backend.db"));
  database.exec(`update sessions set mfa_at = mfa_at - ${STALE_MS} where mfa_at is not null`);
  database.close();
  sandbox = await startSandbox({ data, port, now: null });
}

describe("login with a one-time code", () => {
  test("with --totp, which a script needs: exit 4 names it", async () => {
    await signIn(CODES);
    const args = ["login", "--email", CODES, "--password-stdin", "--insecure-storage", "--json"];
    const without = await runCli(args, { env: env(), input: PASSWORD });
    expect(errorOf(without)).toMatchObject({ code: "mfa_required", exitCode: 4 });
    expect(errorOf(without).hint).toContain("--totp");
    const wrong = await runCli([...args, "--totp", "000000"], { env: env(), input: PASSWORD });
    expect(errorOf(wrong)).toMatchObject({ code: "mfa_invalid", exitCode: 4 });
    expect(without.stdout + wrong.stdout).toBe("");
  });

  test("typed at the prompt, after a wrong one, and never shown", async () => {
    const terminal = await open(["login", "--email", CODES, "--insecure-storage"], { env: env() });
    await terminal.waitForText("Password");
    terminal.type(`${PASSWORD}${KEYS.enter}`);
    await terminal.waitForText("One-time code");
    terminal.type(`000000${KEYS.enter}`);
    await terminal.waitForText("That code is wrong");
    const code = await codeOf(CODES);
    terminal.type(`${code.slice(0, 3)} ${code.slice(3)}${KEYS.enter}`);
    expect(await terminal.exitCode()).toBe(0);
    expect(terminal.screen()).toContain(CODES);
    expect(terminal.raw()).not.toContain(code);
  });
});

describe("login in the browser", () => {
  const link = (text: string) => /or open (http\S+)/.exec(text)?.[1];

  test("in a terminal: shows page and code, waits, and signs in after approval", async () => {
    const terminal = await open(["login", "--no-open", "--insecure-storage"], { env: env() });
    await terminal.waitForText("with the code");
    await terminal.waitForText("Waiting for approval in the browser");
    const url = link(terminal.screen()) ?? "";
    expect(new URL(url).origin).toBe(sandbox.origin);
    const code = await codeOf(CODES);
    await decideOnPage(url, { email: CODES, password: PASSWORD, code }, "approve");
    expect(await terminal.exitCode(30_000)).toBe(0);
    expect(terminal.screen()).toContain(CODES);
    expect((await runCli(["status", "--json"], { home: terminal.home })).exitCode).toBe(0);
  }, 60_000);

  test("in a script: --web, with only the result on stdout", async () => {
    const running = await startCli(["login", "--web", "--insecure-storage", "--json", "-q"], { env: env() });
    const url = await waitFor(() => link(running.noted()), 10_000, "the address of the page");
    await decideOnPage(url, { email: ADMIN, password: PASSWORD }, "approve");
    const run = await running.ended;
    expect(run.exitCode).toBe(0);
    expect(resultOf(run)).toMatchObject({ user: { email: ADMIN }, profile: "default", token: { source: "file" } });
  }, 60_000);

  test("denied: exits with 4, keeps nothing", async () => {
    const running = await startCli(["login", "--web", "--insecure-storage"], { env: env() });
    const url = await waitFor(() => link(running.noted()), 10_000, "the address of the page");
    await decideOnPage(url, { email: ADMIN, password: PASSWORD }, "deny");
    const run = await running.ended;
    expect(run).toMatchObject({ exitCode: 4, stdout: "" });
    expect(run.stderr).toContain("denied in the browser");
    await expect(readFile(credentialsOf(run.home))).rejects.toThrow("ENOENT");
  }, 60_000);

  test("Ctrl-C while waiting: exits with 130, silently", async () => {
    const terminal = await open(["login", "--no-open", "--insecure-storage"], { env: env() });
    await terminal.waitForText("Waiting for approval in the browser");
    terminal.type(KEYS.controlC);
    expect(await terminal.exitCode()).toBe(130);
    expect(terminal.screen()).not.toMatch(/error|at .*\.js/i);
  });

  test("a page of another origin is shown and not opened", async () => {
    // The proxy's answers name the sandbox behind it.
    const terminal = await open(["login", "--insecure-storage"], { env: env(proxy.url) });
    await terminal.waitForText("That page is not on");
    terminal.type(KEYS.controlC);
    expect(await terminal.exitCode()).toBe(130);
  });
});

describe("the stored sign-in", () => {
  test("is renewed once by ten concurrent commands that need it", async () => {
    const home = await signIn(ADMIN, proxy.url);
    await expire(home);
    const before = proxy.seen("POST", /\/oauth\/token$/).length;
    const runs = await Promise.all(Array.from({ length: 10 }, () => runCli(["status", "--json"], { home })));
    expect(runs.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(runs.map(() => [0, ""]));
    expect(proxy.seen("POST", /\/oauth\/token$/)).toHaveLength(before + 1);
    expect((await readdir(join(home, "config"))).filter((name) => /lock|tmp/.test(name))).toEqual([]);
  }, 60_000);

  test("C4: after a kill between renewing and writing, the next command continues with the old one", async () => {
    const home = await signIn(ADMIN);
    await expire(home);
    const before = await readFile(credentialsOf(home), "utf8");
    const killed = await runCli(["status"], { home, env: { SECUREFLAG_CRASH_AT: "C4" } });
    expect(killed.exitCode).toBe(137);
    expect(JSON.parse(await readFile(credentialsOf(home), "utf8"))).toEqual(JSON.parse(before));
    expect((await runCli(["status", "--json"], { home })).exitCode).toBe(0);
    expect((await runCli(["status", "--json"], { home })).exitCode).toBe(0);
  });

  test("is not renewed if the new one cannot be written: nothing is sent", async () => {
    const home = await signIn(ADMIN, proxy.url);
    await expire(home);
    const before = proxy.requests.length;
    const lock = join(home, "config", "credentials.json.lock");
    await mkdir(lock);
    const run = await runCli(["status", "--json"], { home });
    expect(errorOf(run)).toMatchObject({ exitCode: 2, code: "credentials_unsafe" });
    expect(proxy.requests).toHaveLength(before);
    await rm(lock, { recursive: true });
    expect((await runCli(["status", "--json"], { home })).exitCode).toBe(0);
  });

  test("is kept for all of twenty profiles that sign in concurrently", async () => {
    const home = await temporaryDirectory();
    const names = Array.from({ length: 20 }, (_, index) => `p${index}`);
    const login = (name: string) =>
      runCli(["login", "--with-token", "--insecure-storage", "--profile", name], {
        home,
        env: env(),
        input: tokenOf(1),
        timeout: 60_000,
      });
    const runs = await Promise.all(names.map(login));
    expect(runs.map(({ exitCode }) => exitCode)).toEqual(names.map(() => 0));
    const listed = resultOf<{ name: string; signedIn: boolean; active: boolean }[]>(
      await runCli(["profiles", "list", "--json"], { home }),
    );
    expect(listed.filter(({ signedIn }) => signedIn).map(({ name }) => name)).toEqual(expect.arrayContaining(names));
    expect(listed.filter(({ active }) => active)).toHaveLength(1);
  }, 90_000);

  test.each([
    ["a link", async (path: string) => symlink("/dev/null", path)],
    ["readable by others", async (path: string) => writeFile(path, "{}").then(() => chmod(path, 0o644))],
  ])("in a file that is %s is rejected: exits with 2 and explains the fix", async (_what, plant) => {
    const home = await temporaryDirectory();
    await mkdir(join(home, "config"), { mode: 0o700 });
    await plant(credentialsOf(home));
    const run = await runCli(["status", "--org", "1", "--json"], { home, env: env() });
    expect(errorOf(run)).toMatchObject({ exitCode: 2, code: "credentials_unsafe", hint: expect.any(String) });
  });
});

describe("a purchase that needs a fresh one-time code", () => {
  let home: string;

  beforeAll(async () => {
    home = await signIn(BUYER);
    await ageCodes();
  });

  test("in a script: exits with 4 and names --totp; nothing is bought or kept", async () => {
    const before = await sandbox.purchased(1);
    const run = await runCli(["buy", "1", "--yes", "--json"], { home });
    expect(errorOf(run)).toMatchObject({ code: "mfa_required", exitCode: 4 });
    expect(errorOf(run).hint).toContain("--totp");
    expect(await sandbox.purchased(1)).toBe(before);
    expect(await readdir(join(home, "config", "journal"))).toEqual([]);
  });

  test("Ctrl-C at the prompt: exits with 130; nothing is bought or kept", async () => {
    const before = await sandbox.purchased(1);
    const terminal = await open(["buy", "1", "--yes"], { home });
    await terminal.waitForText("One-time code");
    terminal.type(KEYS.controlC);
    expect(await terminal.exitCode()).toBe(130);
    expect(terminal.screen()).not.toMatch(/error/i);
    expect(await sandbox.purchased(1)).toBe(before);
    expect(await readdir(join(home, "config", "journal"))).toEqual([]);
  });

  test("is made after the code was entered", async () => {
    const before = await sandbox.purchased(1);
    const terminal = await open(["buy", "1", "--yes"], { home });
    await terminal.waitForText("One-time code");
    terminal.type(`${await codeOf(BUYER)}${KEYS.enter}`);
    expect(await terminal.exitCode()).toBe(0);
    expect(await sandbox.purchased(1)).toBe(before + 1);
    // The code counts for the session, so that the next purchase asks for none.
    expect((await runCli(["buy", "1", "--yes", "--note", "second", "--json"], { home })).exitCode).toBe(0);
  }, 60_000);

  test("accepts --totp in a script, as does tokens create", async () => {
    const home = await signIn(SCRIPT);
    await ageCodes();
    const before = await sandbox.purchased(1);
    const code = await codeOf(SCRIPT);
    const run = await runCli(["buy", "1", "--yes", "--note", "third", "--totp", code, "--json"], { home });
    expect(run).toMatchObject({ exitCode: 0 });
    expect(await sandbox.purchased(1)).toBe(before + 1);
    await ageCodes();
    const args = ["tokens", "create", "--name", "ci", "--scopes", "billing:read", "--json"];
    expect(errorOf(await runCli(args, { home }))).toMatchObject({ code: "mfa_required" });
    expect((await runCli([...args, "--totp", await codeOf(SCRIPT)], { home })).exitCode).toBe(0);
  }, 120_000);
});

describe("API tokens", () => {
  test("are created, shown once, listed, limited and revoked", async () => {
    const home = await signIn(ADMIN);
    const limits = ["--expires", "7d", "--max-spend", "500/month", "--max-licenses", "10/month"];
    const args = ["tokens", "create", "--name", "ci 2", "--scopes", "billing:read,billing:purchase", ...limits];
    const created = resultOf<{ id: string; token: string }>(await runCli([...args, "--json"], { home }));
    expect(created).toMatchObject({
      name: "ci 2",
      spendLimit: { amount: { amount: 50_000, currency: "GBP" }, licenses: 10 },
    });
    const asToken = { SECUREFLAG_API_TOKEN: created.token };
    const who = await runCli(["whoami"], { home, env: asToken });
    for (const text of ["ci 2, ending in", "£500.00 a month", "10 licenses a month", "instead of"]) {
      expect(who.stdout.replaceAll(/\s+/g, " ")).toContain(text);
    }
    expect(who.stderr).toMatch(/expires in [67] days/);
    const listed = await runCli(["tokens", "list"], { home });
    expect(listed.stdout).toContain(created.id);
    expect(listed.stdout).not.toContain(created.token);
    expect(errorOf(await runCli(["tokens", "list", "--json"], { home, env: asToken }))).toMatchObject({ exitCode: 5 });
    const revoked = await runCli(["tokens", "revoke", created.id, "--yes", "--json"], { home });
    expect(resultOf(revoked)).toEqual({ id: created.id, revoked: true });
    expect(errorOf(await runCli(["whoami", "--json"], { home, env: asToken }))).toMatchObject({ exitCode: 4 });
  });
});

describe("profiles", () => {
  test("are used and removed; removing revokes", async () => {
    const home = await signIn(ADMIN);
    const args = ["login", "--profile", "work", "--with-token", "--insecure-storage"];
    expect((await runCli(args, { home, env: env(), input: tokenOf(1) })).exitCode).toBe(0);
    expect((await runCli(["profiles", "use", "work"], { home })).exitCode).toBe(0);
    expect(resultOf(await runCli(["whoami", "--json"], { home }))).toMatchObject({
      profile: "work",
      token: { name: "ci" },
    });
    const kept = JSON.parse(await readFile(credentialsOf(home), "utf8")).profiles.default;
    const removed = await runCli(["profiles", "remove", "default", "--yes", "--json"], { home });
    expect(resultOf(removed)).toEqual({ name: "default", removed: true, revoked: true });
    expect((await sandbox.request("GET", "/me", { token: kept.accessToken })).status).toBe(401);
    expect(errorOf(await runCli(["profiles", "use", "default", "--json"], { home }))).toMatchObject({
      code: "profile_unknown",
      exitCode: 2,
    });
  });
});
