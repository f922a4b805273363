import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isStorageFailure } from "../../../src/backend/database/storageFailure.ts";
import { LEASE_MS } from "../../../src/backend/purchases/leases.ts";
import { startSandbox } from "../../../src/backend/sandbox/server.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { buy, call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { expectInvariants } from "../support/invariants.ts";

const failure = (code: string) => Object.assign(new Error(`failed with ${code}`), { code });

describe("a full disk", () => {
  const made = organization();
  let backend: TestBackend;
  beforeEach(async () => {
    backend = await startBackend("sqlite");
    await backend.addOrganization(made);
  });
  afterEach(() => backend.close());

  /** Stops the database from growing, as on a full disk, or lets it grow again. */
  const allowGrowth = (isAllowed: boolean) =>
    sql`pragma max_page_count = ${sql.raw(isAllowed ? "1000000" : "1")}`.execute(backend.deps.database);

  test("rejects writes, changes nothing, and recovers once there is free space", async () => {
    await allowGrowth(false);
    const note = "n".repeat(400);
    let bought = 0;
    let refused = await buy(backend, made.id, 1, "k0", { note });
    while (refused.status === 201) {
      bought += 1;
      refused = await buy(backend, made.id, 1, `k${bought}`, { note });
    }
    expect(refused).toMatchObject({ status: 503, body: { code: "unavailable" }, headers: { "retry-after": "5" } });
    expect(backend.log.join("\n")).toContain("database or disk is full");
    const path = `/organizations/${made.id}/subscription`;
    expect((await call(backend, "GET", path, { token: tokenOf(made.id) })).status).toBe(200);
    await allowGrowth(true);
    backend.clocks.machine += LEASE_MS;
    await sweep(backend.deps);
    expect((await buy(backend, made.id, 1, `k${bought}`, { note })).status).toBeLessThan(300);
    await expectInvariants(backend, made.id, 25);
  });

  test("loses no purchase when only the provider's record is full", async () => {
    const { confirm } = backend.deps.gateway;
    Object.assign(backend.deps.gateway, { confirm: () => Promise.reject(failure("SQLITE_FULL")) });
    const { status, body } = await buy(backend, made.id, 5, "k");
    expect([status, body.status]).toEqual([202, "processing"]);
    Object.assign(backend.deps.gateway, { confirm });
    backend.clocks.machine += LEASE_MS;
    backend.clocks.billing += LEASE_MS;
    await sweep(backend.deps);
    const replay = await call(backend, "GET", `/organizations/${made.id}/purchases/by-key/k`, {
      token: tokenOf(made.id),
    });
    expect(replay.body.status).toBe("succeeded");
    expect(backend.captures()).toHaveLength(1);
    await expectInvariants(backend, made.id, 25);
  });

  test("keeps the error of a transaction that SQLite rolled back itself", async () => {
    await allowGrowth(false);
    const { database } = backend.deps;
    const filling = database.transaction().execute(async (tx) => {
      for (let name = 0; ; name += 1) {
        await tx
          .insertInto("settings")
          .values({ name: `${name}`, value: "x".repeat(4_000) })
          .execute();
      }
    });
    await expect(filling).rejects.toMatchObject({ code: "SQLITE_FULL" });
    expect(await database.selectFrom("settings").select("name").where("name", "=", "0").execute()).toEqual([]);
  });
});

describe("data that cannot be written on startup", () => {
  test.each([
    ["SQLITE_FULL", "the disk is full", "Free some space, or pass another folder"],
    ["ENOSPC", "the disk is full", "Free some space, or pass another folder"],
    ["EDQUOT", "the disk quota is exceeded", "Free some space, or pass another folder"],
    ["EROFS", "it is on a read-only file system", "Pass another folder"],
    ["SQLITE_READONLY", "it is read-only", "Pass another folder"],
    ["SQLITE_IOERR_WRITE", "failed with SQLITE_IOERR_WRITE", "Pass another folder"],
    ["SQLITE_CORRUPT", "failed with SQLITE_CORRUPT", "Pass another folder"],
  ])("is rejected with the reason: %s", async (code, reason, hint) => {
    const dataDir = join(await mkdtemp(join(tmpdir(), "full-")), "data");
    const random = () => {
      throw failure(code);
    };
    const deps = { now: Date.now, random, pid: 1, reach: () => {}, log: () => {}, version: "0.0.0" };
    await expect(startSandbox({ port: 0, dataDir, seed: null, now: null }, deps)).rejects.toMatchObject({
      code: "sandbox_data_unusable",
      message: `The sandbox data in ${dataDir} cannot be used: ${reason}`,
      hint: expect.stringContaining(hint),
    });
    await rm(dataDir, { recursive: true });
  });

  test.skipIf(!existsSync("/proc/self"))(
    "is rejected where no directory can be made, and not tried forever",
    async () => {
      const deps = { now: Date.now, random: randomBytes, pid: 1, reach: () => {}, log: () => {}, version: "0.0.0" };
      for (const dataDir of ["/proc/none", "/proc/none/data", "/proc/none/a/b"]) {
        await expect(startSandbox({ port: 0, dataDir, seed: null, now: null }, deps)).rejects.toMatchObject({
          code: "sandbox_data_unusable",
        });
      }
    },
  );

  test("does not hide other errors, or errors of in-memory data", async () => {
    const start = (dataDir: string | null, error: Error) =>
      startSandbox(
        { port: 0, dataDir, seed: null, now: null },
        {
          now: Date.now,
          random: () => {
            throw error;
          },
          pid: 1,
          reach: () => {},
          log: () => {},
          version: "0.0.0",
        },
      );
    const folder = await mkdtemp(join(tmpdir(), "full-"));
    await expect(start(folder, new TypeError("a defect"))).rejects.toThrow("a defect");
    await expect(start(null, failure("SQLITE_FULL"))).rejects.toMatchObject({ code: "SQLITE_FULL" });
    await rm(folder, { recursive: true });
  });
});

test.each([
  ["53100", true],
  ["57P03", true],
  ["ECONNREFUSED", true],
  ["SQLITE_IOERR_FSYNC", true],
  ["SQLITE_CONSTRAINT", false],
  ["SQLITE_ERROR", false],
  ["23505", false],
  ["40001", true],
  ["ECONNRESET", true],
  ["57014", true],
])("the code %s means that the store cannot be written to or reached: %s", (code, expected) => {
  expect(isStorageFailure(failure(code))).toBe(expected);
  expect(isStorageFailure(new Error(code))).toBe(false);
});
