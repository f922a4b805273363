import fc from "fast-check";
import type { KyselyPlugin } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readReportFacts } from "../../../src/backend/reports/store.ts";
import { RUNWAY_BASIS_DAYS } from "../../../src/billing/report.ts";
import { type Report, reportSchema } from "../../../src/contract/report.ts";
import { wallDate } from "../../support/renewalOracle.ts";
import { call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { anyHistory, type History, type HistoryEvent, storeHistory } from "../support/histories.ts";
import { DIALECTS } from "../support/stores.ts";

const RUNS = { sqlite: 60, postgres: 20, sharded: 20, pgbouncer: 10 };

type Payment = Extract<HistoryEvent, { total: number }>;

describe.each(DIALECTS)("the report on %s", (dialect) => {
  let backend: TestBackend;

  beforeAll(async () => {
    backend = await startBackend(dialect);
  });
  afterAll(() => backend.close());

  const ask = (id: number, query = "") =>
    call(backend, "GET", `/organizations/${id}/report${query}`, { token: tokenOf(id) });

  const reportOf = async (id: number, query = ""): Promise<Report> => {
    const { status, body } = await ask(id, query);
    expect([status, body.code]).toEqual([200, undefined]);
    expect(reportSchema.parse(body)).toEqual(body);
    return body;
  };

  test("adds up receipts, credit notes, licenses and users of any history, in every month and in all", async () => {
    const anyKey = fc.constantFrom("buyer" as const, "token" as const, "po" as const);
    const anyRange = fc.record({ first: fc.nat(60), last: fc.nat(10) });
    await fc.assert(
      fc.asyncProperty(anyHistory, anyKey, anyRange, async (history, by, range) => {
        const id = await storeHistory(backend, history);
        const month = (instant: number) => wallDate(instant, history.timeZone).slice(0, 7);
        const months = monthsUpTo(month(history.now), range);
        const [from, to] = [months[0] ?? "", months.at(-1) ?? ""];
        const report = await reportOf(id, `?from=${from}&to=${to}&by=${by}`);
        expect([report.from, report.to]).toEqual([from, to]);
        expect(report.months).toEqual(months.map((name) => expectedMonth(history, name, month)));
        const { purchases, ...total } = spendOf(history, (instant) => month(instant) >= from && month(instant) <= to);
        expect(report.total).toEqual({ purchases, ...moneyOf(total) });
        expect(sum((report.by ?? []).map(({ net }) => net.amount))).toBe(total.net);
        expect(byKey(report.by ?? [])).toEqual(
          expectedGroups(history, by, (at) => month(at) >= from && month(at) <= to),
        );
        expect(report.runway?.days ?? null).toBe(expectedRunway(history));
      }),
      { numRuns: RUNS[dialect] },
    );
  });

  test("has the last 12 months unless it is told otherwise, at most 120, and none that has not begun", async () => {
    const made = organization({ timeZone: "Pacific/Tongatapu" });
    // The 1st of December in Tonga.
    backend.clocks.billing = Date.parse("2026-11-30T11:00:00Z");
    await backend.addOrganization(made);
    const spanOf = async (query: string) => {
      const { from, to, months, by } = await reportOf(made.id, query);
      return [from, to, months.length, by];
    };
    expect(await spanOf("")).toEqual(["2026-01", "2026-12", 12, null]);
    expect(await spanOf("?to=2025-03")).toEqual(["2024-04", "2025-03", 12, null]);
    expect(await spanOf("?from=2026-11")).toEqual(["2026-11", "2026-12", 2, null]);
    expect(await spanOf("?from=2017-01&by=po")).toEqual(["2017-01", "2026-12", 120, []]);
    for (const query of [
      "?to=2027-01",
      "?from=2027-01",
      "?from=2026-05&to=2026-04",
      "?from=2016-12",
      "?from=2026-5",
      "?to=2026-13",
      "?by=note",
    ]) {
      const { status, body } = await ask(made.id, query);
      expect([query, status, body.code, body.errors?.[0]?.path]).toEqual([
        query,
        400,
        "invalid_request",
        /by|from|to/.exec(query)?.[0],
      ]);
    }
  });

  test("an instant before midnight the month has not begun", async () => {
    const made = organization({ timeZone: "Pacific/Tongatapu" });
    backend.clocks.billing = Date.parse("2026-11-30T10:59:59.999Z");
    await backend.addOrganization(made);
    expect((await ask(made.id, "?to=2026-12")).status).toBe(400);
    expect((await reportOf(made.id)).to).toBe("2026-11");
  });

  test("knows nothing from before an organization was created; of an older one, from before its first event", async () => {
    backend.clocks.billing = Date.parse("2026-11-22T12:00:00Z");
    const [made, older, silent] = [organization(), organization(), organization()];
    for (const each of [made, older, silent]) await backend.addOrganization(each);
    const { database } = backend.deps;
    for (const { id } of [older, silent])
      await database.updateTable("organizations").set({ created_at: null }).where("id", "=", id).execute();
    const nothing = { purchased: null, used: null, usersAdded: null, usersRemoved: null, purchases: null };
    const spent = { charged: null, tax: null, refunded: null, net: null };
    const now = { purchased: 25, used: 22, usersAdded: 0, usersRemoved: 0, purchases: 0 };
    expect((await reportOf(made.id, "?from=2026-10")).months).toMatchObject([
      { month: "2026-10", ...nothing, ...spent },
      { month: "2026-11", ...now, charged: { amount: 0, currency: "GBP" }, net: { amount: 0, currency: "GBP" } },
    ]);
    backend.clocks.billing = Date.parse("2026-12-05T12:00:00Z");
    const user = { email: "new@example.test", firstName: "New", lastName: "User" };
    await call(backend, "POST", `/organizations/${older.id}/users`, { token: tokenOf(older.id), body: user });
    expect((await reportOf(older.id, "?from=2026-11")).months).toMatchObject([
      { month: "2026-11", ...nothing },
      { month: "2026-12", ...now, used: 23, usersAdded: 1 },
    ]);
    expect((await reportOf(silent.id, "?from=2026-12")).months).toMatchObject([{ month: "2026-12", ...nothing }]);
  });

  test("does not guess whether an administrator whose removal was recorded without it had training", async () => {
    backend.clocks.billing = Date.parse("2026-10-22T12:00:00Z");
    const made = organization();
    await backend.addOrganization(made);
    const { database } = backend.deps;
    const log = async (number: number, role: number, at: string) => {
      const data_json = JSON.stringify({ idUser: 1, email: "a@example.test", role });
      const entry = {
        number,
        at: Date.parse(at),
        type: "user.removed",
        actor: "backend",
        purchase_id: null,
        data_json,
      };
      await database
        .insertInto("events")
        .values({ organization_id: made.id, ...entry })
        .execute();
    };
    await log(1, 7, "2026-12-01T12:00:00Z");
    backend.clocks.billing = Date.parse("2026-12-22T12:00:00Z");
    // Everyone with the role of a user takes a license.
    expect((await reportOf(made.id, "?from=2026-10")).months.map(({ used }) => used)).toEqual([23, 23, 22]);
    await log(2, 3, "2026-11-02T12:00:00Z");
    const { months, runway } = await reportOf(made.id, "?from=2026-10");
    expect(months.map(({ used }) => used)).toEqual([null, 23, 22]);
    expect(months.map(({ usersRemoved }) => usersRemoved)).toEqual([0, 1, 1]);
    expect(runway).toBeNull();
  });

  test("an administrator without training is added and removed without a license", async () => {
    backend.clocks.billing = Date.parse("2026-10-22T12:00:00Z");
    const made = organization();
    await backend.addOrganization(made);
    const token = tokenOf(made.id);
    const path = `/organizations/${made.id}/users`;
    const user = { email: "m@example.test", firstName: "M", lastName: "M", role: 3, adminNoTraining: true };
    const { body } = await call(backend, "POST", path, { token, body: user });
    backend.clocks.billing = Date.parse("2026-12-22T12:00:00Z");
    await call(backend, "DELETE", `${path}/${body.user.idUser}`, { token });
    const { months, runway } = await reportOf(made.id, "?from=2026-10");
    expect(months.map(({ used, usersAdded, usersRemoved }) => [used, usersAdded, usersRemoved])).toEqual([
      [22, 1, 0],
      [22, 0, 0],
      [22, 0, 1],
    ]);
    expect(runway).toBeNull();
  });

  test("another role takes or frees a license in the month of the change", async () => {
    backend.clocks.billing = Date.parse("2026-09-22T12:00:00Z");
    const made = organization();
    await backend.addOrganization(made);
    const token = tokenOf(made.id);
    const path = `/organizations/${made.id}/users`;
    const user = { email: "r@example.test", firstName: "R", lastName: "R", role: 3, adminNoTraining: true };
    const { body } = await call(backend, "POST", path, { token, body: user });
    for (const [month, role] of [
      ["10", 7],
      ["11", 4],
    ]) {
      backend.clocks.billing = Date.parse(`2026-${month}-22T12:00:00Z`);
      const changed = await call(backend, "PATCH", `${path}/${body.user.idUser}`, { token, body: { role } });
      expect(changed.status).toBe(200);
    }
    backend.clocks.billing = Date.parse("2026-12-22T12:00:00Z");
    await call(backend, "DELETE", `${path}/${body.user.idUser}`, { token });
    const { months } = await reportOf(made.id, "?from=2026-09");
    expect(months.map(({ used }) => used)).toEqual([22, 23, 23, 22]);
  });

  test("is read in one statement, whatever the size, and refuses a sum that a number cannot hold", async () => {
    const payment = { kind: "purchase" as const, tax: 0, licenses: 1, buyer: "a@example.test", token: null };
    const events = Array.from({ length: 300 }, (_, index) => ({
      ...payment,
      at: Date.parse("2026-01-01T00:00:00Z") + index * 86_400_000,
      total: 30_000_000_000_000,
      purchaseOrder: `PO-${index}`,
      refundedAt: null,
    }));
    const now = Date.parse("2026-12-31T00:00:00Z");
    const history: History = {
      timeZone: "UTC",
      createdAt: events[0]?.at ?? 0,
      licenses: 500,
      used: 10,
      events,
      now,
    };
    const id = await storeHistory(backend, history);
    let statements = 0;
    const counter: KyselyPlugin = {
      transformQuery({ node }) {
        statements += 1;
        return node;
      },
      transformResult: async ({ result }) => result,
    };
    const periods = Array.from({ length: 122 }, (_, index) => ({ start: index, until: now }));
    const facts = await readReportFacts(backend.deps.database.withPlugin(counter), id, periods, "po");
    expect(facts.periods[0]?.charged).toHaveLength(300);
    expect(statements).toBe(1);
    expect((await reportOf(id, "?from=2026-01&to=2026-09")).total.charged.amount).toBe(273 * 30_000_000_000_000);
    // 301 of them are more than 2 ** 53 − 1.
    await backend.deps.database
      .updateTable("purchases")
      .set({ total: 40_000_000_000_000 })
      .where("organization_id", "=", id)
      .execute();
    const { status, body } = await ask(id, "?from=2026-01");
    expect([status, body.code, body.errors[0].path]).toEqual([400, "invalid_request", "from"]);
  });
});

/** Month names up to some months before the current one, by counting. */
function monthsUpTo(current: string, { first, last }: { first: number; last: number }): string[] {
  const [year = 0, month = 0] = current.split("-").map(Number);
  const end = year * 12 + month - 1 - last;
  return Array.from({ length: first + 1 }, (_, index) => end - first + index).map(
    (number) => `${Math.floor(number / 12)}-${String((number % 12) + 1).padStart(2, "0")}`,
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

const isPayment = (event: HistoryEvent): event is Payment => "total" in event;

function spendOf({ events }: Pick<History, "events">, isIn: (at: number) => boolean) {
  const paid = events.filter(isPayment);
  const charged = paid.filter(({ at }) => isIn(at));
  const refunded = sum(
    paid.filter(({ refundedAt }) => refundedAt !== null && isIn(refundedAt)).map(({ total }) => total),
  );
  const total = sum(charged.map((payment) => payment.total));
  return {
    purchases: charged.filter(({ kind }) => kind === "purchase").length,
    charged: total,
    tax: sum(charged.map(({ tax }) => tax)),
    refunded,
    net: total - refunded,
  };
}

function moneyOf<Name extends string>(amounts: Record<Name, number>) {
  return Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, { amount, currency: "GBP" }]));
}

/** Counts forward from the beginning, where the report counts backward from now. */
function expectedMonth(history: History, name: string, month: (instant: number) => string) {
  const isBefore = name < month(history.createdAt);
  // A month that ended as the organization was created would be one of its own, but an instant belongs to what it begins.
  if (isBefore) {
    const unknown = [
      "purchased",
      "used",
      "usersAdded",
      "usersRemoved",
      "purchases",
      "charged",
      "tax",
      "refunded",
      "net",
    ];
    return { month: name, ...Object.fromEntries(unknown.map((field) => [field, null])) };
  }
  let { licenses: purchased, used } = history;
  let [usersAdded, usersRemoved] = [0, 0];
  for (const event of history.events) {
    if (month(event.at) > name) continue;
    if (event.kind === "reduction") purchased -= event.by;
    else if (isPayment(event)) purchased += event.kind === "purchase" && event.refundedAt === null ? event.licenses : 0;
    else {
      const isAdded = event.kind === "user.added";
      if (!(event.adminNoTraining && event.role < 7)) used += isAdded ? event.count : -event.count;
      if (month(event.at) !== name) continue;
      if (isAdded) usersAdded += event.count;
      else usersRemoved += event.count;
    }
  }
  const { purchases, ...spent } = spendOf(history, (at) => month(at) === name);
  return { month: name, purchased, used, usersAdded, usersRemoved, purchases, ...moneyOf(spent) };
}

function byKey(groups: NonNullable<Report["by"]>) {
  return new Map(groups.map(({ key, purchases, licenses, net }) => [key, [purchases, licenses, net.amount]]));
}

function expectedGroups({ events }: History, by: "buyer" | "token" | "po", isIn: (at: number) => boolean) {
  const keyOf = (payment: Payment) => (by === "po" ? payment.purchaseOrder : payment[by]);
  const paid = events.filter(isPayment);
  const touched = paid.filter(({ at, refundedAt }) => isIn(at) || (refundedAt !== null && isIn(refundedAt)));
  return new Map(
    [...new Set(touched.map(keyOf))].map((key) => {
      const own = paid.filter((payment) => keyOf(payment) === key);
      const given = own.filter(({ at, kind, refundedAt }) => isIn(at) && kind === "purchase" && refundedAt === null);
      const { purchases, net } = spendOf({ events: own }, isIn);
      return [key, [purchases, sum(given.map(({ licenses }) => licenses)), net]];
    }),
  );
}

function expectedRunway(history: History): number | null {
  const { licenses, used } = history;
  let [available, added] = [licenses - used, 0];
  for (const event of history.events) {
    if (event.kind === "reduction") available -= event.by;
    else if (isPayment(event)) available += event.kind === "purchase" && event.refundedAt === null ? event.licenses : 0;
    else if (!(event.adminNoTraining && event.role < 7)) {
      const taken = event.kind === "user.added" ? event.count : -event.count;
      available -= taken;
      if (event.at > history.now - RUNWAY_BASIS_DAYS * 86_400_000) added += taken;
    }
  }
  return added > 0 ? Math.floor((available * 90) / added) : null;
}
