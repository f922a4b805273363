import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SCOPES } from "../../src/contract/constants.ts";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { FaultProxy } from "../support/faultProxy.ts";
import { temporaryDirectory } from "../support/places.ts";
import { environmentFor } from "../support/sandbox.ts";
import { ADMIN, organization, seed, token, user } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";

const [TWICE, BUYING, RACE, LOST, IDLE, TOP_UP] = [1, 2, 3, 4, 5, 6];

const withUsers = (id: number, usedLicenses: number) =>
  organization(id, { usedLicenses, tokens: [token(id, { scopes: [...SCOPES] })] });

const idle = {
  ...withUsers(IDLE, 2),
  users: [
    user({}),
    user({ email: "old@x.test", role: 7, adminNoTraining: false, lastLogin: "2026-08-24T12:00:00Z" }),
    user({ email: "new@x.test", role: 7, adminNoTraining: false, lastLogin: "2026-11-01T12:00:00Z" }),
  ],
};

const sandbox = useSandbox({
  seed: seed(
    withUsers(TWICE, 3),
    withUsers(BUYING, 25),
    withUsers(RACE, 0),
    withUsers(LOST, 0),
    idle,
    withUsers(TOP_UP, 22),
  ),
});

let proxy: FaultProxy;

beforeAll(async () => {
  proxy = await FaultProxy.start(sandbox.ready.url);
});
afterAll(() => proxy?.close());

/** A file of the administrator and others. */
async function fileOf(...rows: string[]): Promise<string> {
  const path = join(await temporaryDirectory(), "users.csv");
  await writeFile(path, ["email,firstName,lastName,role", `${ADMIN},Ada,Admin,`, ...rows, ""].join("\n"));
  return path;
}

const rows = (count: number, name: string) =>
  Array.from({ length: count }, (_, index) => `${name}${index}@x.test,New,User,`);

async function emails(id: number): Promise<string[]> {
  const run = await sandbox.cli(id, ["users", "list", "--all", "--json"]);
  return resultOf<{ email: string }[]>(run).map(({ email }) => email);
}

interface Synced {
  added: string[];
  changed: unknown[];
  removed: unknown[];
  purchase: { licenses: number } | null;
  licenses: { purchased: number; used: number; available: number };
}

test("a sync makes the users those of the file, and a second one does nothing", async () => {
  const file = await fileOf(...rows(2, "twice"), "user1@organization-1.example,Sample,User 1,manager");
  const sync = ["users", "sync", file, "--remove", "--json"];
  const first = resultOf<Synced>(await sandbox.cli(TWICE, sync));
  expect([first.added.length, first.changed.length, first.removed.length, first.licenses.used]).toEqual([2, 1, 2, 3]);
  const expected = [ADMIN, "twice0@x.test", "twice1@x.test", "user1@organization-1.example"];
  expect((await emails(TWICE)).sort()).toEqual(expected.sort());
  const second = resultOf<Synced>(await sandbox.cli(TWICE, sync));
  expect([second.added, second.changed, second.removed]).toEqual([[], [], []]);
  const guarded = await sandbox.cli(TWICE, [
    "users",
    "sync",
    await fileOf(),
    "--remove",
    "--max-removals",
    "2",
    "--json",
  ]);
  expect([errorOf(guarded).code, guarded.exitCode]).toEqual(["too_many_removals", 7]);
  expect(await emails(TWICE)).toHaveLength(4);
});

test("missing licenses stop a sync, in a dry run too, and are bought once with --buy-missing", async () => {
  const kept = Array.from({ length: 24 }, (_, index) => `user${index + 1}@organization-2.example,Sample,User,`);
  const file = await fileOf(...kept, ...rows(3, "buying"));
  const sync = ["users", "sync", file, "--remove", "--json"];
  for (const flags of [[], ["--dry-run"]]) {
    const short = await sandbox.cli(BUYING, [...sync, ...flags]);
    expect([short.exitCode, errorOf(short).message]).toEqual([9, expect.stringContaining("2 licenses are missing")]);
  }
  const limited = await sandbox.cli(BUYING, [...sync, "--buy-missing", "--max-licenses", "1"]);
  expect([limited.exitCode, errorOf(limited).code]).toEqual([7, "max_licenses_exceeded"]);
  expect(await emails(BUYING)).toHaveLength(26);
  const bought = resultOf<Synced>(await sandbox.cli(BUYING, [...sync, "--buy-missing"]));
  expect(bought).toMatchObject({
    purchase: { licenses: 2 },
    licenses: { purchased: 27, used: 27, available: 0 },
    removed: [{ email: "user25@organization-2.example" }],
  });
  await sandbox.cli(BUYING, [...sync, "--buy-missing"]);
  expect(await sandbox.purchases(BUYING)).toHaveLength(1);
});

test("of two syncs at once both end, and the users are those of one file", async () => {
  const files = [await fileOf(...rows(4, "left")), await fileOf(...rows(4, "right"))];
  const runs = await Promise.all(files.map((file) => sandbox.cli(RACE, ["users", "sync", file, "--remove", "--json"])));
  for (const { exitCode } of runs) expect([0, 9]).toContain(exitCode);
  const there = (await emails(RACE)).filter((email) => email !== ADMIN);
  expect([4, 4]).toEqual([there.length, there.filter((email) => email.startsWith(there[0]?.slice(0, 4) ?? "")).length]);
});

test("a sync whose answer is lost is reported as unknown, and run again it does nothing", async () => {
  const file = await fileOf(...rows(3, "lost"));
  // The second request is the one that applies the plan.
  proxy.inject({ method: "POST", path: /\/sync$/, nth: 2, fault: { kind: "drop", when: "after" } });
  const env = { ...environmentFor(sandbox.ready.url, LOST), SECUREFLAG_API_URL: proxy.url };
  const lost = await runCli(["users", "sync", file, "--remove", "--json"], { env });
  expect([lost.exitCode, errorOf(lost).code]).toEqual([10, "outcome_unknown"]);
  expect(await emails(LOST)).toHaveLength(4);
  const again = resultOf<Synced>(await runCli(["users", "sync", file, "--remove", "--json"], { env }));
  expect(again.added).toEqual([]);
});

test("idle users are listed and counted, and status and quotes name their licenses", async () => {
  const listed = await sandbox.cli(IDLE, ["users", "idle", "--fail-if-any", "--json"]);
  expect(listed.exitCode).toBe(7);
  expect((JSON.parse(listed.stdout) as { email: string }[]).map(({ email }) => email)).toEqual(["old@x.test"]);
  const words = "1 license is held by a user idle for 90 days";
  for (const line of [["status"], ["quote", "5"]]) expect((await sandbox.cli(IDLE, line)).stdout).toContain(words);
});

test("top-up --when-below buys only when fewer are available", async () => {
  const topUp = ["top-up", "--available", "10", "--yes", "--json", "--max-licenses", "20", "--when-below"];
  const enough = resultOf<{ shortfall: number }>(await sandbox.cli(TOP_UP, [...topUp, "3"]));
  expect(enough).toMatchObject({ shortfall: 0, bought: 0, purchase: null, target: { available: 10, whenBelow: 3 } });
  const few = resultOf(await sandbox.cli(TOP_UP, [...topUp, "4"]));
  expect(few).toMatchObject({ shortfall: 7, bought: 7, licenses: { available: 10 } });
  const wrong = [
    ["--when-below", "3"],
    ["--purchased", "9", "--when-below", "3"],
    ["--available", "3", "--when-below", "4"],
  ];
  for (const flags of wrong) expect((await sandbox.cli(TOP_UP, ["top-up", "--yes", ...flags])).exitCode).toBe(2);
});
