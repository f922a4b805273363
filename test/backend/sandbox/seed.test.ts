import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { instantOf } from "../../../src/backend/sandbox/clock.ts";
import { builtInSeed, type SandboxOptions } from "../../../src/backend/sandbox/seeding.ts";
import { startSandbox } from "../../../src/backend/sandbox/server.ts";
import { BUILT_IN_SEED } from "../../../src/backend/seeding/seed.ts";
import { readSeed } from "../../../src/backend/seeding/seedFile.ts";
import { NOON } from "../support/backend.ts";

type Change = (seed: ReturnType<typeof builtIn>) => unknown;

const builtIn = () => JSON.parse(BUILT_IN_SEED);

const read = (text: string) => readSeed({ path: "seed.json", text });

test("the built-in seed is valid", () => {
  expect(read(BUILT_IN_SEED).seed.organizations[0]?.name).toBe("Northwind Labs");
  expect(builtInSeed()).toEqual(read(BUILT_IN_SEED));
});

test.each<[string, Change]>([
  ["organizations[0].name", (seed) => delete seed.organizations[0].name],
  ["organizations[0].stripeCustomerId", (seed) => (seed.organizations[0].stripeCustomerId = "cus_1")],
  ["organizations[0].nmae", (seed) => (seed.organizations[0].nmae = "x")],
  ["organizations[0].timeZone", (seed) => (seed.organizations[0].timeZone = "Europe/Nowhere")],
  ["organizations[0].subscription.interval", (seed) => (seed.organizations[0].subscription.interval = "week")],
  ["organizations[0].subscription.intervalCount", (seed) => (seed.organizations[0].subscription.intervalCount = 121)],
  [
    "organizations[0].subscription.anchorDate",
    (seed) => (seed.organizations[0].subscription.anchorDate = "2026-02-29"),
  ],
  [
    "organizations[0].subscription.unitPrice.amount",
    (seed) => (seed.organizations[0].subscription.unitPrice.amount = 1.5),
  ],
  [
    "organizations[0].subscription.unitPrice.amount",
    (seed) => (seed.organizations[0].subscription.unitPrice.amount = 2 ** 52),
  ],
  [
    "organizations[0].subscription.unitPrice.currency",
    (seed) => (seed.organizations[0].subscription.unitPrice.currency = "XYZ"),
  ],
  ["organizations[0].subscription.taxRate", (seed) => (seed.organizations[0].subscription.taxRate = 20)],
  ["organizations[0].subscription.licenses", (seed) => (seed.organizations[0].subscription.licenses = -1)],
  ["organizations[0].paymentMethod", (seed) => (seed.organizations[0].paymentMethod = "cash")],
  ["organizations[0].usedLicenses", (seed) => (seed.organizations[0].usedLicenses = 26)],
  [
    "organizations[0].usedLicenses",
    (seed) => {
      seed.organizations[0].users[0].adminNoTraining = false;
      seed.organizations[0].usedLicenses = 0;
    },
  ],
  ["organizations[0].users[0].role", (seed) => (seed.organizations[0].users[0].role = 2)],
  ["organizations[0].users[0].password", (seed) => delete seed.organizations[0].users[0].password],
  ["organizations[0].users[0].totpSecret", (seed) => (seed.organizations[0].users[0].totpSecret = "not base32")],
  [
    "organizations[0].users[1].email",
    (seed) => seed.organizations[0].users.push({ ...seed.organizations[0].users[0], email: "ADMIN@northwind.example" }),
  ],
  [
    "organizations[0].users[2].email",
    (seed) => {
      for (const email of ["ada@b\u00fccher.example", "ada@XN--BCHER-KVA.example"]) {
        seed.organizations[0].users.push({ ...seed.organizations[0].users[0], email });
      }
    },
  ],
  ["organizations[0].tokens[0].scopes[0]", (seed) => (seed.organizations[0].tokens[0].scopes = ["everything"])],
  [
    "organizations[0].tokens[0].userEmail",
    (seed) => (seed.organizations[0].tokens[0].userEmail = "nobody@northwind.example"),
  ],
  ["organizations[0].tokens[0].spendLimit", (seed) => (seed.organizations[0].tokens[0].spendLimit = {})],
  ["organizations[1].id", (seed) => seed.organizations.push({ ...seed.organizations[0], tokens: [] })],
  ["organizations[1].tokens[0].token", (seed) => seed.organizations.push({ ...seed.organizations[0], id: 2 })],
  ["organizations", (seed) => (seed.organizations = [])],
])("a seed with an invalid %s is rejected with its path", (path, change) => {
  const seed = builtIn();
  change(seed);
  expect(() => read(JSON.stringify(seed))).toThrow(`seed.json is not valid: ${path}: `);
});

test.each(["", "{", '{"organizations": [], "organizations": []}', "[]", "null"])("the seed %j is rejected", (text) => {
  expect(() => read(text)).toThrow(/seed.json is not valid/);
});

test("each problem is listed once", () => {
  const seed = builtIn();
  delete seed.organizations[0].name;
  seed.organizations[0].subscription.taxRate = "20.";
  seed.organizations[0].subscription.anchorDate = "26-1-1";
  const expected = [
    "organizations[0].name: is missing",
    "organizations[0].subscription.anchorDate: is not a calendar date such as 2026-03-01",
    'organizations[0].subscription.taxRate: is not a percentage such as "20" or "8.875"',
  ];
  expect(() => read(JSON.stringify(seed))).toThrow(`seed.json is not valid: ${expected.join("; ")}`);
});

test("a byte order mark is ignored", () => {
  expect(read(`\ufeff${BUILT_IN_SEED}`).seed.organizations).toHaveLength(1);
});

test("a TOTP secret may be grouped and lowercase", () => {
  const seed = builtIn();
  seed.organizations[0].users[0].totpSecret = "gezd gnbv gy3t qojq";
  expect(() => read(JSON.stringify(seed))).not.toThrow();
  seed.organizations[0].users[0].totpSecret = "gezd gnbv gy3t qo";
  expect(() => read(JSON.stringify(seed))).toThrow("totpSecret: is not a base32 secret of at least 16 characters");
});

test("optional fields may be omitted", () => {
  const seed = builtIn();
  delete seed.organizations[0].tokens;
  delete seed.organizations[0].users[0].totpSecret;
  expect(read(JSON.stringify(seed)).seed.organizations[0]?.tokens).toBeUndefined();
});

describe("clock", () => {
  test("a date is its start in the time zone, today is now, an instant is itself", () => {
    expect(instantOf("2026-12-01", NOON, "America/New_York")).toBe(Date.parse("2026-12-01T05:00:00Z"));
    expect(instantOf("2026-11-22", NOON, "America/New_York")).toBe(NOON);
    expect(instantOf("2026-12-01T10:00:00Z", NOON, "UTC")).toBe(Date.parse("2026-12-01T10:00:00Z"));
  });
});

describe("data", () => {
  let folder = "";
  const deps = { now: () => NOON, random: randomBytes, pid: 1, reach: () => {}, log: () => {}, version: "0.0.0" };
  const start = (options: Partial<SandboxOptions> = {}) =>
    startSandbox({ port: 0, dataDir: folder, seed: null, now: NOON, ...options }, deps);
  const other = { path: "other.json", text: BUILT_IN_SEED.replace("Northwind", "Southwind") };

  beforeAll(async () => {
    folder = join(await mkdtemp(join(tmpdir(), "sandbox-")), "data");
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("has one owner, and a port has one listener", async () => {
    const first = await start({ seed: other });
    expect(first.ready).toMatchObject({ organizationId: 4201, token: "sfl_sandbox_ci", dataDir: folder });
    await expect(start()).rejects.toMatchObject({ code: "sandbox_data_in_use" });
    const port = Number(new URL(first.ready.url).port);
    await expect(start({ dataDir: null, port })).rejects.toMatchObject({ code: "port_in_use" });
    await first.close();
  });

  test("rejects a subscription that has not started", async () => {
    const now = Date.parse("2026-02-28T12:00:00Z");
    await expect(start({ dataDir: null, now })).rejects.toThrow(
      /organizations\[0\].subscription.anchorDate: 2026-03-01 is after today/,
    );
  });

  test("rejects a non-loopback Host", async () => {
    const sandbox = await start({ dataDir: null });
    const answer = await fetch(new URL("/sandbox", sandbox.ready.url));
    expect(answer.status).toBe(200);
    const { request } = await import("node:http");
    const status = await new Promise((resolve, reject) => {
      const url = new URL("/sandbox", sandbox.ready.url);
      request(url, { headers: { host: "evil.example" } }, (response) => resolve(response.resume().statusCode))
        .on("error", reject)
        .end();
    });
    expect(status).toBe(403);
    await sandbox.close();
  });
});
