import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startDatabaseClock } from "../../../src/backend/service/clock.ts";
import { POSTGRES } from "../../support/service.ts";
import { openTestStore, type TestStore } from "../support/stores.ts";

const HOUR_MS = 3_600_000;

describe.skipIf(!POSTGRES)("the clock of the service", () => {
  let store: TestStore;

  beforeAll(async () => {
    store = await openTestStore("postgres");
  });
  afterAll(() => store.close());

  test.each([-HOUR_MS, 0, HOUR_MS])("is the database's on a machine that is wrong by %d ms", async (error) => {
    const machine = { now: () => Date.now() + error, monotonic: () => performance.now(), log: () => {} };
    const clock = await startDatabaseClock(store.database, machine);
    try {
      expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1_000);
    } finally {
      clock.stop();
    }
  });

  test("grows old while the database does not answer, and says so in the log", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const log: string[] = [];
    let time = 0;
    const machine = { now: () => time, monotonic: () => time, log: (line: string) => log.push(line) };
    const gone = await openTestStore("postgres");
    const clock = await startDatabaseClock(gone.database, machine);
    await gone.close();
    try {
      expect(clock.age()).toBe(0);
      time = 60_000;
      vi.advanceTimersByTime(30_000);
      await vi.waitFor(() => expect(log).toHaveLength(1));
      expect(clock.age()).toBe(60_000);
    } finally {
      clock.stop();
      vi.useRealTimers();
    }
  });
});
