import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkService } from "../../../src/backend/service/check.ts";
import { migrateService } from "../../../src/backend/service/migrate.ts";
import { readServiceSettings } from "../../../src/backend/service/settings.ts";
import { HAS_PGBOUNCER, type RunningPgbouncer, startPgbouncer } from "../../support/pgbouncer.ts";
import { createDatabase, POSTGRES, serviceEnvironment, setTimeouts, type TestDatabase } from "../../support/service.ts";

describe.skipIf(!POSTGRES || !HAS_PGBOUNCER)("behind PgBouncer", () => {
  let database: TestDatabase;
  let pgbouncer: RunningPgbouncer;

  beforeAll(async () => {
    database = await createDatabase();
    pgbouncer = await startPgbouncer(database.url);
  });
  afterAll(async () => {
    await pgbouncer.stop();
    await database.drop();
  });

  async function settingsOf(url: string, flags: Record<string, true> = {}) {
    const given = { flags: { payments: "sandbox", "test-mode": true, ...flags }, env: serviceEnvironment({ url }) };
    return (await readServiceSettings(given)).database;
  }

  const timeoutWarnings = async (url: string, flags: Record<string, true> = {}) => {
    const warnings = await checkService(await settingsOf(url, flags), () => {});
    return warnings.filter((warning) => warning.includes("timeouts"));
  };

  test("two migrators of an empty database end well, and one has applied everything", async () => {
    const settings = await settingsOf(pgbouncer.urlOf(database.url), { pgbouncer: true });
    const migrateNow = () => migrateService(settings, { isPlan: false, serviceRole: null }, () => {});
    const plan = await migrateService(settings, { isPlan: true, serviceRole: null }, () => {});
    const applied = await Promise.all([migrateNow(), migrateNow()]);
    expect(applied.flat()).toEqual(plan);
    expect(plan[0]).toBe("0001_service");
  });

  test("time-outs that the role lacks are named, and only with --pgbouncer", async () => {
    const through = pgbouncer.urlOf(database.url);
    expect(await timeoutWarnings(through, { pgbouncer: true })).toEqual([
      expect.stringContaining(
        "Set idle_in_transaction_session_timeout, lock_timeout, statement_timeout with ALTER ROLE",
      ),
    ]);
    expect(await timeoutWarnings(database.url)).toEqual([]);
    await setTimeouts(database);
    // Connections that are open keep their settings.
    await pgbouncer.stop();
    pgbouncer = await startPgbouncer(database.url);
    expect(await timeoutWarnings(pgbouncer.urlOf(database.url), { pgbouncer: true })).toEqual([]);
  });
});
