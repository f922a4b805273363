import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CI_SYSTEMS } from "../support/ciSystems.ts";
import { errorOf, resultOf } from "../support/cli.ts";
import { readLog } from "../support/githubLog.ts";
import { type Issuer, startIssuer } from "../support/issuer.ts";
import { BIN, clearedEnvironment, temporaryDirectory } from "../support/places.ts";
import { ADMIN, organization, PASSWORD, seed, tokenOf } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";

const sandbox = useSandbox({ seed: seed(...[1, 2, 3].map((id) => organization(id))) });

const CLAIMS = { sub: "repo:northwind/infra:ref:refs/heads/main", repository_id: "74" };

let issuer: Issuer;
/** Where the administrator is signed in. */
let home: string;

/** Nothing of the sandbox's usual environment but the backend and the organization. */
const NO_TOKEN = { SECUREFLAG_API_TOKEN: "" };

beforeAll(async () => {
  issuer = await startIssuer();
  home = await temporaryDirectory();
  const login = ["login", "--email", ADMIN, "--password-stdin", "--insecure-storage", "--json"];
  const signedIn = await sandbox.cli(1, login, { home, env: NO_TOKEN, input: PASSWORD });
  expect(signedIn).toMatchObject({ exitCode: 0, stderr: "" });
});

afterAll(() => issuer.close());

const administer = (id: number, args: readonly string[]) =>
  sandbox.cli(id, [...args, "--json"], { home, env: NO_TOKEN });

const claims = () => Object.entries(CLAIMS).flatMap(([name, value]) => ["--claim", `${name}=${value}`]);

async function addTrust(id: number, ...more: string[]): Promise<string> {
  const scopes = ["--scopes", "billing:read,billing:purchase"];
  const args = ["tokens", "trust", "add", "--name", "nightly", "--issuer", issuer.url, ...claims(), ...scopes, ...more];
  const added = await administer(id, args);
  expect(added).toMatchObject({ exitCode: 0, stderr: "" });
  return resultOf<{ id: string }>(added).id;
}

const identity = (more: Readonly<Record<string, unknown>> = {}) =>
  issuer.sign({ claims: { ...CLAIMS, aud: sandbox.origin, ...more } });

describe("a job of a CI system without a stored token", () => {
  test("buys by a trust that an administrator added, until it is removed", async () => {
    const id = await addTrust(1, "--max-licenses", "3/month");
    expect(resultOf(await administer(1, ["tokens", "trust", "list"]))).toMatchObject([
      { id, name: "nightly", issuer: issuer.url, claims: CLAIMS, createdBy: { email: ADMIN } },
    ]);
    expect(JSON.stringify(resultOf(await administer(1, ["tokens", "list"])))).not.toContain("nightly");

    const env = { ...NO_TOKEN, SECUREFLAG_TRUST: "nightly", SECUREFLAG_ID_TOKEN: await identity() };
    const job = (...args: string[]) => sandbox.cli(1, [...args, "--json"], { env });
    expect(resultOf(await job("whoami"))).toMatchObject({
      user: { email: ADMIN },
      token: { source: "trust", name: "trust:nightly", spendLimit: { licenses: 3, licensesLeft: 3 } },
    });
    const bought = await job("top-up", "--available", "5", "--yes", "--max-licenses", "5");
    expect(resultOf(bought)).toMatchObject({ bought: 2, purchase: { purchasedBy: { token: "trust:nightly" } } });
    // Every command exchanges the job's one identity token again, and the limit counts them all.
    const beyond = await job("buy", "2", "--yes");
    expect([beyond.exitCode, errorOf(beyond).code]).toEqual([5, "spend_limit_exceeded"]);
    expect(await sandbox.purchased(1)).toBe(27);

    const removed = await administer(1, ["tokens", "trust", "remove", "nightly", "--yes"]);
    expect(resultOf(removed)).toEqual({ id, name: "nightly", removed: true });
    const refused = await job("status");
    expect(refused).toMatchObject({ exitCode: 4, stdout: "" });
    expect(errorOf(refused)).toMatchObject({
      code: "unauthenticated",
      hint: expect.stringContaining("tokens trust list"),
    });
  });

  test("on GitHub requests its identity token by itself, and masks every secret", async () => {
    await addTrust(2);
    const { url, token } = issuer.github(CLAIMS);
    const env = {
      SECUREFLAG_API_URL: sandbox.ready.url,
      SECUREFLAG_ORGANIZATION: "2",
      SECUREFLAG_TRUST: "nightly",
      ...CI_SYSTEMS.github.env,
      ACTIONS_ID_TOKEN_REQUEST_URL: url,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: token,
    };
    const { exitCode, stdout, stderr } = await execa(process.execPath, [BIN, "status", "--verbose"], {
      env: clearedEnvironment(await temporaryDirectory(), env),
      extendEnv: false,
      reject: false,
    });
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringContaining("25") });
    const { commands, text } = readLog(stderr);
    expect(commands.map(({ name }) => name)).toEqual(["add-mask", "add-mask"]);
    const masked = commands.map(({ data }) => data);
    expect(masked).toEqual([expect.stringMatching(/^ey/), expect.stringMatching(/^sfl_/)]);
    expect(text).toContain("/oauth/token → 200");
    for (const secret of [token, ...masked]) expect(text).not.toContain(secret);

    const forbidden = { ...env, ...NO_TOKEN, ACTIONS_ID_TOKEN_REQUEST_URL: "" };
    const without = await sandbox.cli(2, ["status", "--json"], { env: forbidden });
    expect([without.exitCode, errorOf(without)]).toEqual([
      4,
      expect.objectContaining({ code: "not_signed_in", hint: 'Add "permissions: id-token: write" to the job.' }),
    ]);
  });

  test.each([
    ["another repository of the name", { repository_id: "75" }],
    ["another audience", { aud: "https://billing.example" }],
    ["an expired token", { exp: 1 }],
  ])("is refused with %s", async (_, wrong) => {
    const env = { ...NO_TOKEN, SECUREFLAG_TRUST: "nightly", SECUREFLAG_ID_TOKEN: await identity(wrong) };
    const refused = await sandbox.cli(2, ["status", "--json"], { env });
    expect([refused.exitCode, errorOf(refused).code]).toEqual([4, "unauthenticated"]);
  });
});

describe("a token in a file", () => {
  const run = (env: Readonly<Record<string, string>>, ...args: string[]) =>
    sandbox.cli(3, [...args, "--json"], { env: { ...NO_TOKEN, ...env } });

  test("is read without the line end and byte order mark around it", async () => {
    const path = join(await temporaryDirectory(), "token");
    await writeFile(path, `\uFEFF${tokenOf(3)}\r\n`);
    expect(resultOf(await run({ SECUREFLAG_API_TOKEN_FILE: path }, "whoami"))).toMatchObject({
      token: { source: "token_file", name: "ci" },
    });
  });

  test("may come through a pipe", async () => {
    const env = { SECUREFLAG_API_URL: sandbox.ready.url, SECUREFLAG_ORGANIZATION: "3" };
    const program = [
      'SECUREFLAG_API_TOKEN_FILE=<(echo $0) "$@"',
      tokenOf(3),
      process.execPath,
      BIN,
      "status",
      "--json",
    ];
    const { exitCode, stdout } = await execa("bash", ["-c", ...program], {
      env: clearedEnvironment(await temporaryDirectory(), env),
      extendEnv: false,
      reject: false,
    });
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringContaining('"purchased":25') });
  });

  test("that is missing or empty, or set beside a token, is wrong usage", async () => {
    const directory = await temporaryDirectory();
    const empty = join(directory, "empty");
    await writeFile(empty, "\n");
    for (const [env, words] of [
      [{ SECUREFLAG_API_TOKEN_FILE: join(directory, "none") }, "no such file or directory"],
      [{ SECUREFLAG_API_TOKEN_FILE: directory }, "it is not a file"],
      [{ SECUREFLAG_API_TOKEN_FILE: empty }, "is empty"],
      [{ SECUREFLAG_API_TOKEN_FILE: empty, SECUREFLAG_API_TOKEN: tokenOf(3) }, "cannot both be set"],
    ] as const) {
      const wrong = await run(env, "status");
      expect(wrong).toMatchObject({ exitCode: 2, stdout: "" });
      expect(errorOf(wrong).message).toContain(words);
    }
  });
});
