import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Purchase, Subscription } from "../../src/contract/billing.ts";
import { errorOf, resultOf } from "../support/cli.ts";
import { actOnPage } from "../support/paymentPage.ts";
import { removePlaces } from "../support/places.ts";
import { type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";

const LONDON = 1;
const TOKYO = 2;
const BOTH = [LONDON, TOKYO] as const;
const DEADLINE = "2027-03-15";
const TOTAL = { amount: 450_000, currency: "GBP" };
const SAME_DEADLINE = { [LONDON]: "2027-03-15T00:00:00.000Z", [TOKYO]: "2027-03-14T15:00:00.000Z" } as const;

let sandbox: RunningSandbox;

beforeAll(async () => {
  const declined = { paymentMethod: "card_declined" };
  sandbox = await startSandbox({
    now: "2027-02-28T06:00:00Z",
    seed: seed(organization(LONDON, declined), organization(TOKYO, { ...declined, timeZone: "Asia/Tokyo" })),
  });
});

afterAll(async () => {
  await sandbox?.stop();
  await removePlaces();
});

type Id = typeof LONDON | typeof TOKYO;

const json = async <Result>(id: Id, ...args: string[]) => resultOf<Result>(await sandbox.cli(id, [...args, "--json"]));
/** What a command shows on both streams, on one line. */
const shown = async (id: Id, ...args: string[]) => {
  const { stdout, stderr } = await sandbox.cli(id, args);
  return [stdout, stderr].map((text) => text.replaceAll(/\s+/g, " "));
};
const renewalOf = async (id: Id): Promise<Purchase> => {
  const [renewal] = await json<Purchase[]>(id, "purchases", "list", "--kind", "renewal");
  if (renewal === undefined) throw new RangeError("there is no renewal");
  return renewal;
};

// One clock: each part goes on from where the one before has left it.
describe.sequential("a renewal that is declined", () => {
  test("owes nothing before its date", async () => {
    expect(await json(LONDON, "status")).toMatchObject({ state: "active", unpaid: null });
  });

  test("has the same deadline before and after each retry, on the last day of the grace period and after it", async () => {
    // 06:00 UTC on 1 March is the renewal date everywhere here; the card is tried again after 1, 3 and 7 days.
    let today = 0;
    for (const day of [1, 2, 3, 4, 8, 14, 15, 18]) {
      const days = String(day - today);
      today = day;
      expect((await sandbox.cli(LONDON, ["sandbox", "clock", "advance", "--by", days])).exitCode).toBe(0);
      for (const id of [1, 14, 15, 18].includes(day) ? BOTH : ([LONDON] as const)) {
        const { state, unpaid, asOf } = await json<Subscription>(id, "status");
        const isLate = asOf.slice(0, 10) >= DEADLINE;
        expect(state).toBe(isLate ? "suspended" : "past_due");
        const purchaseId = expect.stringMatching(/^pur_/);
        expect(unpaid).toEqual({ purchaseId, total: TOTAL, deadline: DEADLINE, missed: null });
        const renewal = await json<Purchase>(id, "purchases", "show", unpaid?.purchaseId ?? "");
        expect(renewal.nextAction?.expiresAt).toBe(SAME_DEADLINE[id]);
        const page = (await (await fetch(renewal.nextAction?.url ?? "")).text()).replaceAll("\u00a0", " ");
        expect(page).toContain(`${isLate ? "Was due" : "Pay until"}</dt><dd>March 15, 2027 at 12:00 AM GMT`);
        expect(page).toContain("Due now</dt><dd>£4,500.00");
      }
      if (day === 14) await tells("pay before", "Pay before", "no licenses can be bought until it is paid");
    }
    await tells("suspended since", "Suspended since", "the subscription is suspended");
  }, 300_000);

  /** Every command for people says the same amount, purchase and date, and how to pay it. */
  async function tells(list: string, label: string, warning: string) {
    for (const id of BOTH) {
      const { id: renewal } = await renewalOf(id);
      const [status, warned] = await shown(id, "status");
      expect(status).toContain(`Unpaid £4,500.00 with tax, renewal ${renewal} ${label} ${DEADLINE}`);
      expect(status).toContain(`\`secureflag-licenses purchases pay ${renewal}\``);
      expect(warned).toContain(`Warning: The last renewal is unpaid, and ${warning}.`);
      expect(warned).not.toContain(renewal);
      expect(warned).not.toContain(DEADLINE);
      expect((await shown(id, "purchases", "show", renewal))[0]).toContain(`${label} ${DEADLINE}`);
      expect((await shown(id, "purchases", "list"))[0]).toContain(`${list} ${DEADLINE}`);
      for (const command of [
        ["buy", "5", "--yes"],
        ["quote", "5"],
        ["top-up", "--available", "9", "--yes"],
      ]) {
        const refused = await sandbox.cli(id, [...command, "--json"]);
        const { code, message, hint } = errorOf(refused);
        expect([refused.exitCode, code]).toEqual([7, "subscription_not_purchasable"]);
        expect(message).toContain(`renewal ${renewal} (£4,500.00 with tax) is unpaid`);
        expect(message).toContain(DEADLINE);
        expect(hint).toBe(`Pay the renewal with \`secureflag-licenses purchases pay ${renewal}\`.`);
      }
    }
  }

  test("can be paid after its deadline, and then nothing is unpaid", async () => {
    const { nextAction } = await renewalOf(LONDON);
    expect((await actOnPage(nextAction?.url ?? "", "pay", "card_ok")).status).toBe(200);
    expect(await json(LONDON, "status")).toMatchObject({ state: "active", unpaid: null });
    expect((await shown(LONDON, "status")).join()).not.toMatch(/unpaid|Pay before|suspended/i);
  });
});
