import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { migrateService } from "../../../src/backend/service/migrate.ts";
import { readDatabaseSettings } from "../../../src/backend/service/settings.ts";
import { withStore } from "../../../src/backend/service/store.ts";
import { noteProvider, withUsualProvider } from "../../../src/backend/service/usualProvider.ts";
import { createDatabase, POSTGRES, serviceEnvironment, type TestDatabase } from "../../support/service.ts";

const KEY = { SECUREFLAG_STRIPE_KEY: "sk_test_1" };

describe.skipIf(!POSTGRES)("the payment provider of a command that names none", () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase();
    const settings = await readDatabaseSettings({ flags: {}, env: serviceEnvironment(database) });
    await migrateService(settings, { isPlan: false, serviceRole: null }, () => {});
  });
  afterAll(() => database.drop());

  const flagsOf = async (flags: Record<string, string | boolean>, env: Record<string, string> = {}) => {
    const given = { flags, env: { ...serviceEnvironment(database), ...env } };
    return (await withUsualProvider(given, () => {})).flags;
  };

  const note = async (provider: "sandbox" | "stripe") => {
    const settings = await readDatabaseSettings({ flags: {}, env: serviceEnvironment(database) });
    await withStore(
      settings,
      () => {},
      (store) => noteProvider(store, provider),
    );
  };

  test("is Stripe before the first start, or test cards in test mode without a key", async () => {
    expect(await flagsOf({})).toEqual({});
    expect(await flagsOf({ "test-mode": true })).toEqual({ "test-mode": true, payments: "sandbox" });
    expect(await flagsOf({ "test-mode": true }, KEY)).toEqual({ "test-mode": true });
  });

  test("is the one that the service started with last", async () => {
    await note("sandbox");
    expect(await flagsOf({})).toEqual({ payments: "sandbox", "test-mode": true });
    expect(await flagsOf({}, KEY)).toEqual({});
    expect(await flagsOf({ payments: "stripe" })).toEqual({ payments: "stripe" });
    await note("stripe");
    expect(await flagsOf({ "test-mode": true })).toEqual({ "test-mode": true });
  });
});
