import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorOf, type RunOptions, type RunResult, resultOf, runCli } from "../support/cli.ts";
import { removePlaces } from "../support/places.ts";
import { PublicUsers } from "../support/publicUsers.ts";
import { hasControls } from "../support/screen.ts";

const ORGANIZATION = 52_101;
const TOKEN = "their-own-token";

/** A user as SecureFlag shows one, with fields that we do not know. */
const theirs = (idUser: number, more: object = {}) => ({
  idUser,
  email: `user${idUser}@northwind.example`,
  username: `user${idUser}`,
  firstName: "User",
  lastName: String(idUser),
  role: 7,
  status: "ACTIVE",
  emailVerified: true,
  joinedDateTime: "Nov 22, 2024, 4:05:06 PM",
  licenseStart: "2024-11-22T16:05:06.000+0000",
  licenseEnd: 1_763_827_506_000,
  defaultOrganization: { id: ORGANIZATION, name: "Northwind Labs", status: "ACTIVE" },
  team: { idTeam: 7, name: "Red" },
  stripeSubscriptionAutorenewal: true,
  ...more,
});

const ODD = [
  { idUser: 900 },
  theirs(901, { role: 2, status: "SUSPENDED", team: null, adminNoTraining: true }),
  theirs(902, { firstName: "Evil\u001b[2J\u202e", lastName: '=cmd|"/c calc"!A1', email: null }),
];
const many = (from: number, count: number) => Array.from({ length: count }, (_, index) => theirs(from + index));
/** Twenty, seven, one, twenty, three odd ones, sixty more; the end. */
const PAGES = [many(1, 20), many(21, 7), many(28, 1), many(29, 20), ODD, many(49, 20), many(69, 20), many(89, 20)];

let backend: PublicUsers;
let endless: PublicUsers;

beforeAll(async () => {
  backend = await PublicUsers.start(ORGANIZATION, TOKEN, (page) => PAGES[page] ?? []);
  endless = await PublicUsers.start(ORGANIZATION, TOKEN, () => many(1, 20));
});

afterAll(async () => {
  await backend?.close();
  await endless?.close();
  await removePlaces();
});

function run(args: readonly string[], options: RunOptions & { at?: PublicUsers } = {}): Promise<RunResult> {
  const { at = backend, env, ...rest } = options;
  const own = { SECUREFLAG_API_URL: at.url, SECUREFLAG_API_TOKEN: TOKEN };
  return runCli([...args, "--org", String(ORGANIZATION)], { ...rest, env: { ...own, ...env } });
}

describe("users list against SecureFlag's own pages", () => {
  test("continues after short pages until an empty one, with only the token", async () => {
    backend.requests.length = 0;
    const { exitCode, stdout, stderr, ...rest } = await run(["users", "list", "--all", "--json"]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const users = resultOf<Record<string, unknown>[]>({ exitCode, stdout, stderr, ...rest });
    expect(users.map(({ idUser }) => idUser)).toEqual(PAGES.flat().map(({ idUser }) => idUser));
    expect(users[0]).toEqual({
      idUser: 1,
      email: "user1@northwind.example",
      username: "user1",
      firstName: "User",
      lastName: "1",
      role: 7,
      status: "ACTIVE",
      // Of its fields those that we do not know are kept as they are.
      emailVerified: true,
      adminNoTraining: null,
      joinedDateTime: "Nov 22, 2024, 4:05:06 PM",
      lastLogin: null,
      licenseStart: "2024-11-22T16:05:06.000+0000",
      licenseEnd: 1_763_827_506_000,
      defaultOrganization: { id: ORGANIZATION, name: "Northwind Labs" },
      team: { idTeam: 7, name: "Red" },
      stripeCustomerId: null,
      stripeSubscriptionId: null,
      stripeSubscriptionAutorenewal: true,
      uuid: null,
    });
    expect(users.find(({ idUser }) => idUser === 900)).toMatchObject({ email: null, role: null, team: null });
    const base = `/rest/management/v2/organizations/${ORGANIZATION}/users`;
    expect(backend.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(
      [...PAGES, []].map((_, page) => `GET ${base}/${page}`),
    );
  });

  test("shows people the first 100, one tab-separated line each, without other control characters", async () => {
    const { exitCode, stdout, stderr } = await run(["users", "list"]);
    expect([exitCode, stderr]).toEqual([0, "There are more than 100 users. Pass --limit <n> or --all to see more.\n"]);
    expect(
      stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split("\t").length),
    ).toEqual(Array(100).fill(4));
    expect(hasControls(stdout.replaceAll("\t", " "))).toBe(false);
    expect(stdout).toContain("role 2");
  });

  test("prints the same users as CSV, safe for spreadsheets", async () => {
    const { stdout } = await run(["users", "list", "--all", "--csv"]);
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(PAGES.flat().length + 1);
    expect(lines[0]).toMatch(/^idUser,email,username,firstName,lastName,role,status,/);
    expect(stdout).toContain(`,"'=cmd|""/c calc""!A1",`);
    expect(hasControls(stdout)).toBe(false);
  });

  test("an unknown token: exits with 4, although the response is HTTP 200", async () => {
    const refused = await run(["users", "list", "--json"], { env: { SECUREFLAG_API_TOKEN: "wrong" } });
    expect(refused).toMatchObject({ exitCode: 4, stdout: "" });
    expect(errorOf(refused)).toMatchObject({ code: "unauthenticated" });
  });

  test("an endless list: exits with 1 and a clear error, after few requests", async () => {
    const lost = await run(["users", "list", "--all", "--json"], { at: endless });
    expect(lost).toMatchObject({ exitCode: 1, stdout: "" });
    expect(errorOf(lost)).toMatchObject({ code: "unexpected_answer", message: expect.stringContaining("never ends") });
    expect(endless.requests.length).toBeLessThan(10);
  });

  test("without --org: requires an organization", async () => {
    const env = { SECUREFLAG_API_URL: backend.url, SECUREFLAG_API_TOKEN: TOKEN };
    const unknown = await runCli(["users", "list", "--json"], { env });
    expect(errorOf(unknown)).toMatchObject({ exitCode: 2, code: "organization_required" });
    expect(errorOf(unknown).hint).toContain("--org");
  });
});

test("commands not available there say so: exit 1", async () => {
  const person = ["--first-name", "New", "--last-name", "User"];
  const add = await run(["users", "add", "--email", "new@northwind.example", ...person, "--json"]);
  const remove = await run(["users", "remove", "user1@northwind.example", "--yes", "--json"]);
  const status = await run(["status", "--json"]);
  expect([add, remove, status].map(errorOf)).toMatchObject([
    { exitCode: 1, code: "users_not_offered" },
    { exitCode: 1, code: "users_not_offered" },
    { exitCode: 1, code: "billing_not_offered" },
  ]);
});
