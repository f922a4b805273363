import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { removePlaces, temporaryDirectory } from "../support/places.ts";
import { type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { ADMIN, organization, PASSWORD, seed, token, user } from "../support/seed.ts";

const MEMBER = "uma@northwind.example";
const BOSS = "boss@northwind.example";

let sandbox: RunningSandbox;
let other: RunningSandbox;

beforeAll(async () => {
  [sandbox, other] = await Promise.all([
    startSandbox({
      seed: seed(
        organization(1, {
          users: [user({}), user({ email: MEMBER, role: 7, adminNoTraining: false }), user({ email: BOSS })],
          tokens: [token(1, {})],
        }),
        organization(2, { users: [user({ email: BOSS })], tokens: [] }),
      ),
    }),
    startSandbox(),
  ]);
});

afterAll(async () => {
  await Promise.all([sandbox?.stop(), other?.stop()]);
  await removePlaces();
});

const urlOf = (backend: RunningSandbox) => ({ SECUREFLAG_API_URL: backend.ready.url });

async function everyFile(
  directory: string,
): Promise<{ path: string; text: string; mode: number; folderMode: number }[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  return Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry) => {
        const path = join(entry.parentPath, entry.name);
        const [file, folder] = await Promise.all([stat(path), stat(entry.parentPath)]);
        return {
          path,
          text: await readFile(path, "utf8"),
          mode: file.mode & 0o777,
          folderMode: folder.mode & 0o777,
        };
      }),
  );
}

async function signIn(email = ADMIN, backend = sandbox): Promise<string> {
  const home = await temporaryDirectory();
  const args = ["login", "--email", email, "--password-stdin", "--insecure-storage", "--json"];
  const run = await runCli(args, { home, env: urlOf(backend), input: `${PASSWORD}\n` });
  expect(run).toMatchObject({ exitCode: 0 });
  return home;
}

describe("login", () => {
  test("reads the password from stdin: whoami, status, buy, then logout deletes and revokes", async () => {
    const home = await signIn();
    // The backend's URL, the organization and the sign-in come from the profile now.
    const who = resultOf(await runCli(["whoami", "--json"], { home }));
    expect(who).toMatchObject({
      user: { email: ADMIN, role: 0 },
      organization: { id: 1 },
      apiUrl: sandbox.ready.url,
      apiUrlSource: "profile",
      profile: "default",
      token: { source: expect.stringMatching(/^(file|keyring)$/), name: null },
    });
    expect((await runCli(["status", "--json"], { home })).exitCode).toBe(0);
    const bought = resultOf(await runCli(["buy", "1", "--yes", "--json"], { home }));
    expect(bought).toMatchObject({ purchase: { status: "succeeded", purchasedBy: { email: ADMIN, token: null } } });
    expect((await runCli(["logout"], { home })).exitCode).toBe(0);
    expect(errorOf(await runCli(["status", "--json"], { home }))).toMatchObject({ exitCode: 4 });
    for (const { text } of await everyFile(home)) expect(text).not.toMatch(/accessToken":\s*"[^"]/);
  });

  test("leaves only files with 0600 in 0700, without a password", async () => {
    const files = await everyFile(await signIn());
    expect(files.length).toBeGreaterThan(0);
    for (const { path, text, mode, folderMode } of files) {
      expect({ path, mode, folderMode }).toEqual({ path, mode: 0o600, folderMode: 0o700 });
      expect(text).not.toContain(PASSWORD);
    }
  });

  test.each([
    ["a wrong password", ADMIN, "battery staple horse"],
    ["an unknown user", "nobody@northwind.example", PASSWORD],
  ])("%s: exits with 4, keeps nothing", async (_, email, password) => {
    const args = ["login", "--email", email, "--password-stdin", "--insecure-storage", "--json"];
    const run = await runCli(args, { env: urlOf(sandbox), input: password });
    expect(run.stdout).toBe("");
    expect(errorOf(run)).toMatchObject({ exitCode: 4 });
    expect(run.stderr).not.toContain(password);
    for (const { text } of await everyFile(run.home)) expect(text).not.toContain(email);
  });

  test("a script without a keyring requires --insecure-storage, before the password is sent", async () => {
    const args = ["login", "--email", ADMIN, "--password-stdin", "--json"];
    const run = await runCli(args, { env: urlOf(sandbox), input: PASSWORD });
    if (run.exitCode === 0) return expect(await everyFile(join(run.home, "config"))).not.toContain(PASSWORD);
    expect(errorOf(run)).toMatchObject({ exitCode: 2, code: "keyring_unavailable" });
    expect(`${errorOf(run).message} ${errorOf(run).hint}`).toContain("--insecure-storage");
  });

  test.each([
    [["login"], /--email/],
    [["login", "--email", ADMIN], /--password-stdin/],
    [["login", "--email", ADMIN, "--password", PASSWORD], /--password-stdin/],
    [["status", "--token", "sfl_secret"], /SECUREFLAG_API_TOKEN/],
  ])("%j in a script: exits with 2 and names the flag or variable", async (args, help) => {
    const run = await runCli([...args, "--json"], { env: urlOf(sandbox) });
    expect(run).toMatchObject({ exitCode: 2, stdout: "" });
    expect(`${errorOf(run).message} ${errorOf(run).hint}`).toMatch(help);
    expect(run.stderr).not.toContain("sfl_secret");
  });

  test("--with-token stores a token from stdin, and no rejected one", async () => {
    const home = await temporaryDirectory();
    const args = ["login", "--with-token", "--insecure-storage", "--json"];
    expect((await runCli(args, { home, env: urlOf(sandbox), input: "sfl_sandbox_ci_1\n" })).exitCode).toBe(0);
    expect(resultOf(await runCli(["whoami", "--json"], { home }))).toMatchObject({
      token: { name: "ci", last4: "ci_1" },
    });
    const refused = await runCli(args, { env: urlOf(sandbox), input: "sfl_nobody" });
    expect(errorOf(refused)).toMatchObject({ exitCode: 4 });
  });

  test("a member signs in but cannot see billing or buy: exits with 5", async () => {
    const home = await signIn(MEMBER);
    for (const args of [["status"], ["buy", "1", "--yes"]]) {
      expect(errorOf(await runCli([...args, "--json"], { home }))).toMatchObject({ exitCode: 5, code: "forbidden" });
    }
  });

  test("a user of two organizations must choose one: exits with 2 and the list", async () => {
    const home = await signIn(BOSS);
    const run = await runCli(["status", "--json"], { home });
    expect(errorOf(run)).toMatchObject({ exitCode: 2 });
    expect(`${errorOf(run).message} ${errorOf(run).hint}`).toMatch(/\b1\b[\s\S]*\b2\b/);
    expect(resultOf(await runCli(["status", "--org", "2", "--json"], { home }))).toMatchObject({
      organization: { id: 2 },
    });
  });
});

describe("a stored sign-in", () => {
  test("is sent only to its own origin: exits with 4 and names both", async () => {
    const home = await signIn();
    const run = await runCli(["status", "--org", "4201", "--json"], { home, env: urlOf(other) });
    expect(errorOf(run)).toMatchObject({ exitCode: 4 });
    const said = `${errorOf(run).message} ${errorOf(run).hint}`;
    expect(said).toContain(sandbox.origin);
    expect(said).toContain(other.origin);
  });

  test("is overridden by SECUREFLAG_API_TOKEN", async () => {
    const home = await signIn();
    const run = await runCli(["whoami", "--json"], { home, env: { SECUREFLAG_API_TOKEN: "sfl_sandbox_ci_1" } });
    expect(resultOf(run)).toMatchObject({ token: { source: "environment", name: "ci" } });
  });

  test("is stored separately for each --profile", async () => {
    const home = await signIn();
    const env = urlOf(other);
    const args = ["login", "--profile", "second", "--email", ADMIN, "--password-stdin", "--insecure-storage"];
    expect((await runCli(args, { home, env, input: PASSWORD })).exitCode).toBe(0);
    const first = resultOf(await runCli(["whoami", "--json"], { home }));
    const second = resultOf(await runCli(["whoami", "--profile", "second", "--json"], { home }));
    expect(first).toMatchObject({ apiUrl: sandbox.ready.url, profile: "default" });
    expect(second).toMatchObject({ apiUrl: other.ready.url, profile: "second" });
  });

  test("--verbose shows no password and no token", async () => {
    const args = ["login", "--email", ADMIN, "--password-stdin", "--insecure-storage", "--verbose"];
    const run = await runCli(args, { env: urlOf(sandbox), input: PASSWORD });
    expect(run.exitCode).toBe(0);
    expect(run.stderr).toMatch(/POST .*\/auth\/login/);
    const files = await everyFile(run.home);
    const secrets = files.flatMap(({ text }) => [...text.matchAll(/Token":\s*"([^"]+)"/g)].map(([, secret]) => secret));
    for (const secret of [PASSWORD, ...secrets]) expect(run.stdout + run.stderr).not.toContain(secret);
  });
});
