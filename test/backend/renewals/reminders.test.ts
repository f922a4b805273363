import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Notification } from "../../../src/backend/deps.ts";
import { dueReminders, remindOfRenewal } from "../../../src/backend/renewals/reminders.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import { NOON, startBackend, type TestBackend } from "../support/backend.ts";
import { fastForward, openSubscription, setClock } from "../support/renewing.ts";
import { DIALECTS } from "../support/stores.ts";

describe.each(DIALECTS)("renewal reminders on %s", (dialect) => {
  let backend: TestBackend;

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  beforeEach(async () => {
    backend.clocks.billing = NOON;
    // Ends what other tests left open.
    await backend.deps.database.updateTable("subscriptions").set({ renew_at: null, remind_at: null }).execute();
    await backend.deps.database.updateTable("purchases").set({ next_check_at: null }).execute();
  });
  afterAll(() => backend.close());

  const reminders = (id: number) =>
    backend.delivered().filter(({ type, organizationId }) => !type.startsWith("purchase.") && organizationId === id);
  const daysOf = (found: readonly Notification[]) => found.map(({ id }) => Number(id.split(":").at(-1)));
  const sweepAt = async (instant: string) => {
    setClock(backend, instant);
    await sweep(backend.deps);
  };
  const change = (id: number, values: Record<string, unknown>) =>
    backend.deps.database.updateTable("subscriptions").set(values).where("organization_id", "=", id).execute();

  test("come 30, 7 and 1 days before, each at the start of its day, and again in the next term", async () => {
    const id = await openSubscription(backend);
    await sweep(backend.deps);
    const seen: [string, number[]][] = [];
    for (const at of [
      "2027-01-29T23:59:59.999Z",
      "2027-01-30T00:00:00Z",
      "2027-01-30T12:00:00Z",
      "2027-02-21T23:59:59.999Z",
      "2027-02-22T00:00:00Z",
      "2027-02-27T23:59:59.999Z",
      "2027-02-28T00:00:00Z",
      "2027-03-01T00:00:00Z",
      "2028-01-31T00:00:00Z",
    ]) {
      await sweepAt(at);
      seen.push([at, daysOf(reminders(id))]);
    }
    expect(seen.map(([, days]) => days)).toEqual([
      [],
      [30],
      [30],
      [30],
      [30, 7],
      [30, 7],
      [30, 7, 1],
      [30, 7, 1],
      [30, 7, 1, 30],
    ]);
  });

  test("say what is charged, when, and to which card", async () => {
    const id = await openSubscription(backend);
    await sweep(backend.deps);
    await sweepAt("2027-02-22T00:00:00Z");
    expect(reminders(id)).toEqual([
      {
        id: `organization_${id}:renewal.reminder:2027-03-01:7`,
        type: "renewal.reminder",
        organizationId: id,
        purchaseId: null,
        to: null,
        text:
          "The subscription renews in 7 days, on 2027-03-01, with 25 licenses for £4,500.00 with tax. " +
          "It is charged to Visa ending in 4242 (test card).",
        data: {
          renewalDate: "2027-03-01",
          daysLeft: 7,
          paymentMethod: { type: "card", label: "Visa ending in 4242 (test card)" },
          expires: null,
          expiresBefore: false,
          autoRenew: true,
          licenses: 25,
          subtotal: { amount: 375000, currency: "GBP" },
          tax: { amount: 75000, currency: "GBP" },
          total: { amount: 450000, currency: "GBP" },
        },
      },
    ]);
  });

  test.each([
    ["2027-02", true],
    ["2027-03", false],
    [null, false],
  ])("say whether a card that is valid to %s expires before the renewal", async (expires, expiresBefore) => {
    const id = await openSubscription(backend);
    await change(id, { payment_method_expires: expires });
    await sweep(backend.deps);
    await sweepAt("2027-02-28T00:00:00Z");
    const [reminder] = reminders(id);
    expect(reminder?.data).toMatchObject({ expires, expiresBefore });
    expect(reminder?.text?.includes("which expires before the renewal (2027-02). Change it with")).toBe(expiresBefore);
  });

  test("say that no payment method is stored, and that a reduction applies", async () => {
    const id = await openSubscription(backend, { taxRate: "0" }, { paymentMethod: null });
    await change(id, { reduction: 24, reduction_term: 1 });
    await sweep(backend.deps);
    await sweepAt("2027-02-28T00:00:00Z");
    expect(reminders(id)[0]?.text).toBe(
      "The subscription renews in 1 day, on 2027-03-01, with 24 licenses for £3,600.00. No payment method is stored. " +
        "Change it with `secureflag-licenses organizations payment-method`.",
    );
  });

  test("of a subscription that does not renew say that it ends, and then stop", async () => {
    const id = await openSubscription(backend, { autoRenew: false });
    await fastForward(backend, "2028-06-01T00:00:00Z");
    expect(daysOf(reminders(id))).toEqual([30, 7, 1]);
    expect(reminders(id).map(({ type }) => type)).toEqual(Array(3).fill("subscription.ending"));
    expect(reminders(id)[2]?.text).toBe(
      "The subscription ends in 1 day, on 2027-03-01, without a renewal. Its 25 licenses can then no longer be used.",
    );
    expect(await dueReminders(backend.deps.database, Number.MAX_SAFE_INTEGER, { limit: 10, after: null })).toEqual([]);
  });

  test.each([
    ["over two of them", "2027-02-25T08:00:00Z", [7]],
    ["over all", "2027-02-28T23:59:59Z", [1]],
    ["over the renewal", "2027-03-01T00:00:00Z", []],
    ["over the renewal and reminders of the next term", "2028-02-24T00:00:00Z", [7]],
  ])("when the clock jumps %s: only the nearest that applies", async (_case, to, days) => {
    const id = await openSubscription(backend);
    await sweep(backend.deps);
    await sweepAt(to);
    await sweep(backend.deps);
    expect(daysOf(reminders(id))).toEqual(days);
  });

  test("that were due before the organization was here are left out", async () => {
    setClock(backend, "2027-02-22T00:00:00Z");
    const id = await openSubscription(backend);
    await sweep(backend.deps);
    expect(reminders(id)).toEqual([]);
    await fastForward(backend, "2027-02-28T12:00:00Z");
    expect(daysOf(reminders(id))).toEqual([1]);
  });

  test("follow the calendar of the billing time zone, also where daylight saving time begins", async () => {
    const id = await openSubscription(backend, { anchorDate: "2026-03-14" }, { timeZone: "America/New_York" });
    await fastForward(backend, "2027-03-13T04:59:59.999Z");
    expect(daysOf(reminders(id))).toEqual([30, 7]);
    await fastForward(backend, "2027-03-13T05:00:00Z");
    expect(daysOf(reminders(id))).toEqual([30, 7, 1]);
  });

  test("do not come while a renewal is unpaid, and come again once it is paid", async () => {
    const id = await openSubscription(
      backend,
      { interval: "month", anchorDate: "2026-11-15" },
      { paymentMethod: "card_declined" },
    );
    await fastForward(backend, "2027-01-10T00:00:00Z");
    // The renewal of 15 December failed, and so do the reminders of 15 January.
    expect(reminders(id).map(({ data }) => data?.renewalDate)).toEqual(["2026-12-15", "2026-12-15"]);
    await change(id, { payment_method: "card_ok" });
    const path = `/rest/management/v2/organizations/${id}/purchases`;
    const headers = { authorization: `Bearer sfl_test_${id}` };
    const [renewal] = (await backend.app.inject({ url: `${path}?kind=renewal`, headers })).json().items;
    await backend.app.inject({ method: "POST", url: `${path}/${renewal.id}/payment`, headers });
    await fastForward(backend, "2027-01-14T12:00:00Z");
    expect(reminders(id).at(-1)?.data).toMatchObject({ renewalDate: "2027-01-15", daysLeft: 1 });
  });

  test("are left to the provider that renews a subscription, unless it ends", async () => {
    const [renewing, ending] = [await openSubscription(backend), await openSubscription(backend)];
    await change(renewing, { provider_subscription: "sub_1", renew_at: null });
    await change(ending, { provider_subscription: "sub_2", renew_at: null, auto_renew: 0 });
    await fastForward(backend, "2027-02-28T12:00:00Z");
    expect([reminders(renewing).length, reminders(ending).length]).toEqual([0, 3]);
  });

  test("are sent once by two workers at once", async () => {
    const id = await openSubscription(backend);
    await sweep(backend.deps);
    setClock(backend, "2027-02-22T00:00:00Z");
    await Promise.all(Array.from({ length: 8 }, () => remindOfRenewal(backend.deps, id)));
    const outbox = backend.deps.database.selectFrom("outbox").select("id");
    const rows = await outbox.where("organization_id", "=", id).execute();
    expect(rows).toEqual([{ id: `organization_${id}:renewal.reminder:2027-03-01:7` }]);
  });

  test.each(["B17", "B10"])("are sent once after a crash at %s", async (point) => {
    const id = await openSubscription(backend);
    await sweep(backend.deps);
    setClock(backend, "2027-02-22T00:00:00Z");
    backend.crashAt(point);
    await sweep(backend.deps);
    expect(backend.log.at(-1)).toContain(point);
    setClock(backend, "2027-02-22T01:00:00Z");
    await sweep(backend.deps);
    await sweep(backend.deps);
    expect(daysOf(reminders(id))).toEqual([7]);
  });

  test("of one organization do not wait for another's that fails", async () => {
    const [broken, id] = [await openSubscription(backend), await openSubscription(backend)];
    await sweep(backend.deps);
    await change(broken, { unit_price: 9_007_199_254_740_991 });
    await sweepAt("2027-02-22T00:00:00Z");
    expect([daysOf(reminders(broken)), daysOf(reminders(id))]).toEqual([[], [7]]);
    expect(backend.log.join()).toContain(`renewal reminder of organization ${broken}`);
  });

  test("are listed in pages, the longest overdue first", async () => {
    const ids: number[] = [];
    for (let count = 0; count < 5; count += 1) ids.push(await openSubscription(backend));
    for (const [index, id] of ids.entries()) await change(id, { remind_at: NOON - Math.floor(index / 2) });
    const seen: number[] = [];
    for (let after: Parameters<typeof dueReminders>[2]["after"] = null; ; ) {
      const page = await dueReminders(backend.deps.database, NOON, { limit: 2, after });
      if (page.length === 0) break;
      seen.push(...page.map(({ organization_id }) => organization_id));
      after = page.at(-1) ?? null;
    }
    expect(seen).toEqual([4, 2, 3, 0, 1].map((index) => ids[index]));
    expect(await dueReminders(backend.deps.database, NOON - 3, { limit: 2, after: null })).toEqual([]);
  });
});
