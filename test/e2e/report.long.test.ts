import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Purchase, Quote, Receipt, Subscription } from "../../src/contract/billing.ts";
import type { Report } from "../../src/contract/report.ts";
import { errorOf, resultOf } from "../support/cli.ts";
import { wallDate } from "../support/renewalOracle.ts";
import { organization, seed, token, tokenOf } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";

const ZONE = "Pacific/Tongatapu";
const ID = 1;

const sandbox = useSandbox({
  seed: seed(
    organization(ID, {
      timeZone: ZONE,
      subscription: { interval: "month", intervalCount: 3, anchorDate: "2026-08-31" },
      tokens: [token(ID, { scopes: ["billing:read", "billing:purchase", "users:read", "users:write"] })],
    }),
  ),
});

/** Calls the sandbox itself: starting the program for each of the many steps would take minutes. */
async function api<Result>(method: string, path: string, body?: unknown): Promise<Result> {
  const response = await fetch(
    path.startsWith("/") ? `${sandbox.origin}${path}` : `${sandbox.ready.url}/organizations/${ID}/${path}`,
    {
      method,
      headers: {
        authorization: `Bearer ${tokenOf(ID)}`,
        "idempotency-key": randomUUID(),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    },
  );
  const text = await response.text();
  expect([path, response.ok, response.ok ? "" : text]).toEqual([path, true, ""]);
  return (text === "" ? null : JSON.parse(text)) as Result;
}

const report = async (...args: string[]) =>
  resultOf<Report>(await sandbox.cli(ID, ["report", "--from", "2026-10", "--json", ...args]));

const month = (instant: string | number) => wallDate(new Date(instant).getTime(), ZONE).slice(0, 7);

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

describe.sequential("report over three years", () => {
  /** The counts at the end of each month, read on its last day. */
  const counts = new Map<string, { purchased: number; used: number }>();
  const users = { added: new Map<string, number>(), removed: new Map<string, number>() };

  const note = (changes: Map<string, number>, at: string) => changes.set(month(at), (changes.get(month(at)) ?? 0) + 1);
  const advance = async (to: number) =>
    (await api<{ now: string }>("POST", "/sandbox/clock", { to: new Date(to).toISOString() })).now;

  test("every month is what receipts, credit notes and the counts of its last day say", async () => {
    let { now } = await api<{ now: string }>("GET", "/sandbox");
    let newest = 0;
    for (let step = 0; step < 38; step += 1) {
      if (step % 3 !== 2) {
        const quote = await api<Quote>("POST", "quotes", { licenses: (step % 4) + 1 });
        await api("POST", "purchases", { quoteId: quote.id, purchaseOrder: `PO-${step % 3}` });
      }
      if (step % 2 === 0) {
        const person = { email: `user${step}@example.test`, firstName: "New", lastName: "User" };
        newest = (await api<{ user: { idUser: number } }>("POST", "users", person)).user.idUser;
        note(users.added, now);
      }
      if (step % 6 === 5) {
        await api("DELETE", `users/${newest}`);
        note(users.removed, now);
        const { licenses } = await api<Subscription>("GET", "subscription");
        await api("PUT", "subscription/reduction", { licenses: licenses.used + 1 });
      }
      // The last second of the month in Tonga, which is at UTC+13, and the first one of the next.
      const [year = 0, number = 0] = month(now).split("-").map(Number);
      const next = Date.UTC(year, number, 1) - 13 * 3_600_000;
      await advance(next - 1_000);
      const { licenses } = await api<Subscription>("GET", "subscription");
      counts.set(month(next - 1_000), { purchased: licenses.purchased, used: licenses.used });
      now = await advance(next + 1_000);
    }

    const { months, total, by } = await report("--by", "po");
    const purchases = resultOf<Purchase[]>(await sandbox.cli(ID, ["purchases", "list", "--all", "--json"]));
    const paid = purchases.filter(({ receiptNumber }) => receiptNumber !== null);
    const receipts = await Promise.all(paid.map(({ id }) => api<Receipt>("GET", `purchases/${id}/receipt`)));
    expect(receipts.length).toBeGreaterThan(20);
    expect(months[0]).toMatchObject({ month: "2026-10", purchased: null, used: null, charged: null, net: null });
    expect(months.length).toBeGreaterThan(36);
    for (const each of months.slice(1, -1)) {
      const own = receipts.filter(({ issuedAt }) => month(issuedAt) === each.month);
      const returned = receipts.flatMap(({ refund }) =>
        refund && month(refund.refundedAt) === each.month ? [refund] : [],
      );
      const amounts = (list: readonly { amount: number }[]) => sum(list.map(({ amount }) => amount));
      const [charged, refunded] = [
        amounts(own.map(({ total }) => total)),
        amounts(returned.map(({ amount }) => amount)),
      ];
      expect(each).toEqual({
        month: each.month,
        ...counts.get(each.month),
        usersAdded: users.added.get(each.month) ?? 0,
        usersRemoved: users.removed.get(each.month) ?? 0,
        purchases: own.filter(({ kind }) => kind === "purchase").length,
        charged: { amount: charged, currency: "GBP" },
        tax: { amount: amounts(own.map(({ tax }) => tax)), currency: "GBP" },
        refunded: { amount: refunded, currency: "GBP" },
        net: { amount: charged - refunded, currency: "GBP" },
      });
    }
    const all = sum(receipts.map(({ total, refund }) => total.amount - (refund?.amount.amount ?? 0)));
    expect(total.net.amount).toBe(all);
    expect(sum((by ?? []).map(({ net }) => net.amount))).toBe(all);
    expect(new Set(by?.map(({ key }) => key))).toEqual(new Set([null, "PO-0", "PO-1"]));
  }, 120_000);

  test("CSV has these months, and a month that has not begun is refused", async () => {
    const { months, to } = await report();
    const { stdout } = await sandbox.cli(ID, ["report", "--from", "2026-10", "--csv"]);
    const [heads, ...rows] = stdout.trimEnd().split("\n");
    expect(heads).toBe("month,purchased,used,usersAdded,usersRemoved,purchases,charged,tax,refunded,net,currency");
    expect(rows.map((row) => row.split(",").slice(0, 3).join())).toEqual(
      months.map(({ month: name, purchased, used }) => [name, purchased ?? "", used ?? ""].join()),
    );
    const future = await sandbox.cli(ID, ["report", "--json", "--to", `${Number(to.slice(0, 4)) + 1}-01`]);
    expect([future.exitCode, future.stdout, errorOf(future).code]).toEqual([2, "", "invalid_request"]);
  });
});
