import { describe, expect, test } from "vitest";
import { errorOf, resultOf } from "../support/cli.ts";
import { actOnPage } from "../support/paymentPage.ts";
import { organization, seed } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";

const OK = 1;
const DECLINED = 2;
const APPROVAL = 3;
const ENDING = 4;
const MONTHLY = 5;
const MISSED = 6;

interface Listed {
  readonly id: string;
  readonly kind: string;
  readonly status: string;
  readonly licenses: number;
  readonly total: { readonly amount: number };
  readonly createdAt: string;
  readonly failure: { readonly code: string } | null;
  readonly nextAction: { readonly url: string } | null;
  readonly purchasedBy: { readonly email: string; readonly token: string | null } | null;
}

const sandbox = useSandbox({
  seed: seed(
    organization(OK),
    organization(DECLINED, { paymentMethod: "card_declined" }),
    organization(APPROVAL, { paymentMethod: "card_requires_approval" }),
    organization(ENDING, { subscription: { autoRenew: false } }),
    organization(MONTHLY, { subscription: { interval: "month", anchorDate: "2026-01-31", licenses: 30 } }),
    organization(MISSED, { subscription: { interval: "month" }, paymentMethod: null }),
  ),
});

const json = async <Result>(id: number, ...args: string[]) =>
  resultOf<Result>(await sandbox.cli(id, [...args, "--json"]));
const list = (id: number, ...filters: string[]) => json<Listed[]>(id, "purchases", "list", ...filters);

async function renewalOf(id: number): Promise<Listed> {
  const [renewal] = await list(id, "--kind", "renewal");
  if (renewal === undefined) throw new RangeError("there is no renewal");
  return renewal;
}

// One clock for all of them: each part goes on from where the one before has left it.
describe.sequential("on the renewal date", () => {
  test("the renewal includes the licenses bought in the old term, and a reduction", async () => {
    expect((await sandbox.cli(OK, ["buy", "5", "--yes"])).exitCode).toBe(0);
    expect(await json(OK, "licenses", "reduce", "23", "--yes")).toMatchObject({
      reduction: { licenses: 23, date: "2027-03-01" },
      licenses: { purchased: 30 },
      renewal: { licenses: 23, total: { amount: 414_000 } },
      dryRun: false,
    });
    // Licenses bought meanwhile come on top (src/billing/README.md, Reductions).
    expect(await json(OK, "quote", "2")).toMatchObject({ licensesAfter: 32, renewsAt: { licenses: 25 } });
    expect((await sandbox.cli(OK, ["buy", "2", "--yes"])).exitCode).toBe(0);
    const moved = await json<{ renewals: Listed[] }>(OK, "sandbox", "clock", "advance", "--to-renewal");
    expect(moved.renewals.filter(({ licenses }) => licenses === 25).map(({ status }) => status)).toContain("succeeded");
    expect(await json(OK, "status")).toMatchObject({
      state: "active",
      licenses: { purchased: 25, used: 22, available: 3 },
      term: { start: "2027-03-01", renewalDate: "2028-03-01", days: 366, daysRemaining: 366 },
      renewal: { licenses: 25, total: { amount: 450_000 } },
      reduction: null,
    });
    const renewal = await renewalOf(OK);
    expect(renewal).toMatchObject({ status: "succeeded", licenses: 25, total: { amount: 450_000 }, purchasedBy: null });
    expect(await json(OK, "purchases", "receipt", renewal.id)).toMatchObject({
      kind: "renewal",
      receiptNumber: `${OK}-000003`,
      licenses: 25,
      total: { amount: 450_000, currency: "GBP" },
      term: { start: "2027-03-01", renewalDate: "2028-03-01" },
    });
    const captures = (await sandbox.captures()).filter(({ purchaseId }) => purchaseId === renewal.id);
    expect(captures.map(({ amount }) => amount)).toEqual([450_000]);
  });

  test("a purchase on that date belongs to the new term and costs the full price", async () => {
    expect(await json(OK, "quote", "5")).toMatchObject({
      purchaseDate: "2027-03-01",
      term: { start: "2027-03-01", daysRemaining: 366 },
      dueNow: { amount: 75_000 },
      total: { amount: 90_000 },
    });
  });

  test("purchases list filters by kind, status and dates, both inclusive", async () => {
    const ids = (listed: Listed[]) => listed.map(({ kind, licenses }) => `${kind} ${licenses}`);
    expect(ids(await list(OK))).toEqual(["renewal 25", "purchase 2", "purchase 5"]);
    expect(ids(await list(OK, "--kind", "purchase"))).toEqual(["purchase 2", "purchase 5"]);
    expect(ids(await list(OK, "--from", "2027-03-01"))).toEqual(["renewal 25"]);
    expect(ids(await list(OK, "--from", "2026-11-22", "--to", "2026-11-22"))).toEqual(["purchase 2", "purchase 5"]);
    expect(ids(await list(OK, "--to", "2026-11-21"))).toEqual([]);
    expect(ids(await list(OK, "--status", "failed"))).toEqual([]);
    const limited = await sandbox.cli(OK, ["purchases", "list", "--limit", "2", "--json"]);
    expect(ids(resultOf(limited))).toEqual(["renewal 25", "purchase 2"]);
  });

  test("purchases list --csv has one row per purchase, with the buyer and the token", async () => {
    const { exitCode, stdout } = await sandbox.cli(OK, ["purchases", "list", "--all", "--csv"]);
    expect(exitCode).toBe(0);
    const [heads = "", ...rows] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.split(","));
    const cell = (row: string[], head: string) => row[heads.indexOf(head)];
    expect(
      rows.map((row) => [cell(row, "kind"), cell(row, "total"), cell(row, "purchasedBy"), cell(row, "token")]),
    ).toEqual([
      ["renewal", "4500.00", "", ""],
      ["purchase", "97.64", "admin@northwind.example", "ci"],
      ["purchase", "244.10", "admin@northwind.example", "ci"],
    ]);
  });

  test("a declined renewal is past due: nothing can be bought until it is paid", async () => {
    expect(await json(DECLINED, "status")).toMatchObject({ state: "past_due", term: { start: "2027-03-01" } });
    const { id, failure } = await renewalOf(DECLINED);
    expect(failure?.code).toBe("card_declined");
    for (const command of [
      ["buy", "5", "--yes"],
      ["quote", "5"],
      ["top-up", "--available", "9", "--yes"],
    ]) {
      const refused = await sandbox.cli(DECLINED, [...command, "--json"]);
      expect(refused.exitCode).toBe(7);
      expect(errorOf(refused)).toMatchObject({ code: "subscription_not_purchasable" });
      expect(errorOf(refused).hint).toContain(`purchases pay ${id}`);
    }
    const warned = (await sandbox.cli(DECLINED, ["status"])).stderr.replaceAll(/\s+/g, " ");
    expect(warned).toContain("The last renewal is unpaid, and no licenses can be bought until it is paid.");
  });

  test("purchases pay tries the card again, shows the result, and points to the page", async () => {
    const renewal = await renewalOf(DECLINED);
    const again = await sandbox.cli(DECLINED, ["purchases", "pay", renewal.id, "--yes"]);
    expect(again.exitCode).toBe(6);
    expect(again.stdout).toContain("Renewal failed: 25 licenses");
    const words = again.stderr.replaceAll(/\s+/g, " ");
    expect(words).toContain(
      "Nothing was charged. Pay it on the payment page or with `secureflag-licenses purchases pay",
    );
    expect(words).not.toContain("`buy`");
    const url = renewal.nextAction?.url ?? "";
    expect((await actOnPage(url, "pay", "card_ok")).status).toBe(200);
    expect(await json(DECLINED, "status")).toMatchObject({ state: "active", licenses: { purchased: 25 } });
    const paid = await json(DECLINED, "purchases", "pay", renewal.id, "--yes");
    expect(paid).toMatchObject({ purchase: { kind: "renewal", status: "succeeded" } });
    const captures = (await sandbox.captures()).filter(({ purchaseId }) => purchaseId === renewal.id);
    expect(captures.map(({ amount }) => amount)).toEqual([450_000]);
    expect((await sandbox.cli(DECLINED, ["quote", "5", "--json"])).exitCode).toBe(0);
  });

  test("a reduction while terms are missed applies after the current one, as in the dry run", async () => {
    // 2026-12-01 is not paid, and three more wait for it.
    expect(await json(MISSED, "status")).toMatchObject({ state: "suspended", term: { start: "2027-03-01" } });
    const expected = { reduction: { licenses: 23, date: "2027-04-01" }, renewal: { licenses: 23 } };
    const dry = await json<object>(MISSED, "licenses", "reduce", "23", "--dry-run");
    expect(dry).toMatchObject(expected);
    expect(await json(MISSED, "licenses", "reduce", "23", "--yes")).toEqual({ ...dry, dryRun: false });
    const { nextAction } = await renewalOf(MISSED);
    expect((await actOnPage(nextAction?.url ?? "", "pay", "card_ok")).status).toBe(200);
    await expect
      .poll(async () => (await list(MISSED)).map(({ status, licenses }) => `${status} ${licenses}`), {
        timeout: 10_000,
      })
      .toEqual(["succeeded 25", "succeeded 25", "succeeded 25", "succeeded 25"]);
    expect(await json(MISSED, "status")).toMatchObject({ state: "active", ...expected });
  });

  test("a renewal that requires confirmation by the bank fails, and is paid on its page", async () => {
    const renewal = await renewalOf(APPROVAL);
    expect(renewal).toMatchObject({ status: "failed", failure: { code: "authentication_required" } });
    expect((await actOnPage(renewal.nextAction?.url ?? "", "pay", "card_requires_approval")).status).toBe(200);
    expect(await renewalOf(APPROVAL)).toMatchObject({ id: renewal.id, status: "succeeded" });
    expect(await json(APPROVAL, "status")).toMatchObject({ state: "active" });
  });

  test("a subscription without automatic renewal has ended: nothing can be bought or reduced", async () => {
    expect(await json(ENDING, "status")).toMatchObject({ state: "ended", licenses: { purchased: 25 } });
    expect(await list(ENDING)).toEqual([]);
    for (const command of [
      ["buy", "1", "--yes"],
      ["licenses", "reduce", "23", "--yes"],
    ]) {
      const refused = await sandbox.cli(ENDING, [...command, "--json"]);
      expect([refused.exitCode, errorOf(refused).code]).toEqual([7, "subscription_not_purchasable"]);
    }
    expect(await json(ENDING, "licenses", "reduce", "--cancel", "--yes")).toMatchObject({ reduction: null });
  });

  test("missed months are charged one by one, in order, on the last day if there is no 31st", async () => {
    const dates = (await list(MONTHLY, "--kind", "renewal", "--all")).map(({ id }) => id);
    const receipts = await Promise.all(
      dates.map((id) =>
        json<{ term: { start: string }; total: { amount: number } }>(MONTHLY, "purchases", "receipt", id),
      ),
    );
    expect(receipts.map(({ term }) => term.start)).toEqual(["2027-02-28", "2027-01-31", "2026-12-31", "2026-11-30"]);
    expect(receipts.map(({ total }) => total.amount)).toEqual([540_000, 540_000, 540_000, 540_000]);
  });

  test("the subscription is suspended after the grace period, and paying late reactivates it", async () => {
    const failing = { kind: "renewal", status: "failed" };
    const moved = await json<{ renewals: Listed[] }>(DECLINED, "sandbox", "clock", "advance", "--to-renewal");
    expect(moved.renewals.filter(({ status }) => status === "failed").length).toBeGreaterThan(0);
    expect(await renewalOf(DECLINED)).toMatchObject(failing);
    expect(await json(DECLINED, "status")).toMatchObject({ state: "past_due" });
    expect((await sandbox.cli(DECLINED, ["sandbox", "clock", "advance", "--by", "15"])).exitCode).toBe(0);
    expect(await json(DECLINED, "status")).toMatchObject({ state: "suspended" });
    const renewal = await renewalOf(DECLINED);
    expect((await actOnPage(renewal.nextAction?.url ?? "", "pay", "card_ok")).status).toBe(200);
    expect(await json(DECLINED, "status")).toMatchObject({ state: "active", term: { start: "2028-03-01" } });
  });
});
