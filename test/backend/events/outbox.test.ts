import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Notification } from "../../../src/backend/deps.ts";
import { queueNotification, sendNotifications } from "../../../src/backend/events/outbox.ts";
import { organization, startBackend, type TestBackend } from "../support/backend.ts";
import { DIALECTS } from "../support/stores.ts";

const MINUTE = 60_000;

describe.each(DIALECTS)("the outbox on %s", (dialect) => {
  let backend: TestBackend;
  let statements: string[];
  let delivered: Notification[];
  let ids: number[];

  beforeEach(async () => {
    statements = [];
    delivered = [];
    backend = await startBackend(dialect, undefined, (text) => statements.push(text));
    const organizations = [organization(), organization(), organization()];
    for (const each of organizations) await backend.addOrganization(each);
    ids = organizations.map(({ id }) => id);
  });
  afterEach(() => backend.close());

  /** Queues notifications, a millisecond apart, for the organizations in turn. */
  const queue = async (count: number) => {
    await backend.deps.database.transaction().execute(async (tx) => {
      for (let number = 0; number < count; number += 1) {
        const organizationId = ids[number % ids.length] ?? 0;
        const notification = {
          id: `${number}`,
          type: "purchase.fulfilled",
          organizationId,
          purchaseId: "pur_1",
          to: null,
        };
        await queueNotification(tx, notification, backend.clocks.billing + number);
      }
    });
    statements.length = 0;
  };
  const deliver = async (notification: Notification) => {
    delivered.push(notification);
  };
  const send = (options: { deliver?: typeof deliver; limit?: number; signal?: AbortSignal } = {}) => {
    const { limit = 1_000, signal } = options;
    return sendNotifications(
      { ...backend.deps, notifier: { deliver: options.deliver ?? deliver } },
      { jobs: 8, limit, signal },
    );
  };
  const unsent = async () => {
    const rows = await backend.deps.database.selectFrom("outbox").select("id").where("sent_at", "is", null).execute();
    return rows.map(({ id }) => Number(id)).sort((one, other) => one - other);
  };
  const idsOf = (notifications: readonly Notification[]) => notifications.map(({ id }) => Number(id));

  test("a round sends a thousand, marks a hundred in one statement, and leaves the rest to the next", async () => {
    await queue(1_050);
    expect(await send()).toBe(true);
    expect(delivered).toHaveLength(1_000);
    if (dialect !== "sqlite") expect(statements).toHaveLength(20);
    expect(await unsent()).toEqual(Array.from({ length: 50 }, (_, index) => 1_000 + index));
    expect(await send()).toBe(true);
    expect(await send()).toBe(false);
    expect(new Set(idsOf(delivered)).size).toBe(1_050);
    expect(delivered).toHaveLength(1_050);
  });

  test("those of an organization arrive in order, one after the other, also if some take longer", async () => {
    await queue(250);
    const open = new Set<number>();
    await send({
      async deliver(notification) {
        expect(open.has(notification.organizationId)).toBe(false);
        open.add(notification.organizationId);
        for (let turn = Number(notification.id) % 7; turn > 0; turn -= 1) await Promise.resolve();
        open.delete(notification.organizationId);
        delivered.push(notification);
      },
    });
    for (const id of ids) {
      const own = idsOf(delivered.filter(({ organizationId }) => organizationId === id));
      expect(own).toEqual(own.toSorted((one, other) => one - other));
    }
    expect(delivered).toHaveLength(250);
  });

  test("one that failed is sent again once its claim has ended, and holds up no other", async () => {
    await queue(9);
    await send({
      async deliver(notification) {
        if (notification.id === "4") throw new TypeError("refused");
        delivered.push(notification);
      },
    });
    expect(backend.log.at(-1)).toContain("notification 4");
    expect(await unsent()).toEqual([4]);
    expect(await send()).toBe(false);
    backend.clocks.machine += MINUTE;
    expect(await send()).toBe(true);
    expect(idsOf(delivered).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(await unsent()).toEqual([]);
  });

  test("what a worker does not get to within half of its claim is free for others at once", async () => {
    await queue(30);
    const slow = async (notification: Notification) => {
      backend.clocks.machine += MINUTE / 20;
      delivered.push(notification);
    };
    await send({ deliver: slow, limit: 30 });
    expect(delivered.length).toBeGreaterThanOrEqual(10);
    expect(delivered.length).toBeLessThan(15);
    await send();
    expect(new Set(idsOf(delivered)).size).toBe(30);
    expect(delivered).toHaveLength(30);
  });

  test("a worker that is stopped marks what it sent, and frees the rest", async () => {
    await queue(30);
    const stop = new AbortController();
    await send({
      signal: stop.signal,
      async deliver(notification) {
        delivered.push(notification);
        if (delivered.length === 5) stop.abort();
      },
    });
    expect(delivered).toHaveLength(5);
    expect(await unsent()).toHaveLength(25);
    await send();
    expect(new Set(idsOf(delivered)).size).toBe(30);
    expect(delivered).toHaveLength(30);
  });

  test("a crash after sending loses nothing", async () => {
    await queue(5);
    backend.crashAt("B10");
    await send();
    backend.clocks.machine += MINUTE;
    await send();
    expect(new Set(idsOf(delivered)).size).toBe(5);
    expect(await unsent()).toEqual([]);
  });

  test("workers at the same time send different ones", async () => {
    await queue(500);
    await Promise.all([send(), send(), send()]);
    expect(delivered).toHaveLength(500);
    expect(new Set(idsOf(delivered)).size).toBe(500);
    expect(await unsent()).toEqual([]);
  });
});
