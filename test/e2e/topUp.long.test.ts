import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorOf, type RunResult, resultOf, runCli, startCli } from "../support/cli.ts";
import { FaultProxy } from "../support/faultProxy.ts";
import { removePlaces, temporaryDirectory } from "../support/places.ts";
import { environmentFor, type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { organization, seed, tokenOf } from "../support/seed.ts";

const DECLINED = 101;
const APPROVAL = 102;
const LIMITED = 103;
const SLOW = 104;
const POINTS = ["C0", "C1", "C2", "C3"];
const ORDINARY = [1, 2, 3, 4, 5, 6, ...POINTS.flatMap((_, index) => [11 + index, 21 + index])];

let sandbox: RunningSandbox;
let proxy: FaultProxy;

beforeAll(async () => {
  const limited = organization(LIMITED);
  for (const token of limited.tokens) token.spendLimit = { amount: 20_000, licenses: 10 };
  sandbox = await startSandbox({
    seed: seed(
      ...ORDINARY.map((id) => organization(id)),
      organization(DECLINED, { paymentMethod: "card_declined" }),
      organization(APPROVAL, { paymentMethod: "card_requires_approval" }),
      limited,
      organization(SLOW, { paymentMethod: "card_processing" }),
    ),
  });
  proxy = await FaultProxy.start(sandbox.ready.url);
});

afterAll(async () => {
  await proxy?.close();
  await sandbox?.stop();
  await removePlaces();
});

interface ToppedUp {
  shortfall: number;
  bought: number;
  purchase: { id: string; status: string; total: { amount: number } } | null;
  licenses: { purchased: number; available: number };
  replayed: boolean;
  dryRun: boolean;
}

const TO_EIGHT = ["top-up", "--available", "8", "--yes", "--json"];

/** The target is reached, by one purchase that was charged once. */
async function expectOnce(id: number): Promise<void> {
  const purchases = (await sandbox.purchases(id)).filter(({ status }) => status === "succeeded");
  const captures = (await sandbox.captures()).filter(({ purchaseId }) => purchaseId === purchases[0]?.id);
  expect(purchases.map(({ licenses }) => licenses)).toEqual([5]);
  expect(captures.map(({ amount }) => amount)).toEqual([24_410]);
  expect(await sandbox.purchased(id)).toBe(30);
}

function boughtBy(runs: readonly RunResult[]): number {
  return runs.reduce((sum, run) => sum + resultOf<ToppedUp>(run).bought, 0);
}

describe("top-up", () => {
  test("reaches a target once, then has nothing to buy", async () => {
    const [first, second] = [await sandbox.cli(1, TO_EIGHT), await sandbox.cli(1, TO_EIGHT)];
    expect([first.exitCode, second.exitCode]).toEqual([0, 0]);
    expect(resultOf(first)).toMatchObject({ shortfall: 5, bought: 5, licenses: { available: 8 } });
    expect(resultOf(second)).toMatchObject({ shortfall: 0, bought: 0, purchase: null, quote: null });
    await expectOnce(1);
  });

  test("reaches it once from twenty concurrent jobs on separate machines", { timeout: 90_000 }, async () => {
    const runs = await Promise.all(Array.from({ length: 20 }, () => sandbox.cli(2, TO_EIGHT, { timeout: 80_000 })));
    expect(runs.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(runs.map(() => [0, ""]));
    expect(boughtBy(runs)).toBe(5);
    await expectOnce(2);
  });

  test("reaches it once from eight concurrent jobs with a shared home", { timeout: 90_000 }, async () => {
    const home = await temporaryDirectory();
    const runs = await Promise.all(
      Array.from({ length: 8 }, () => sandbox.cli(3, TO_EIGHT, { home, timeout: 80_000 })),
    );
    expect(runs.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(runs.map(() => [0, ""]));
    expect(boughtBy(runs)).toBe(5);
    await expectOnce(3);
  });

  test.each(POINTS.map((point, index) => [point, 11 + index, 21 + index] as const))(
    "reaches it once when killed at %s and run again, at home and elsewhere",
    async (point, here, elsewhere) => {
      for (const id of [here, elsewhere]) {
        const killed = await sandbox.cli(id, TO_EIGHT, { env: { SECUREFLAG_CRASH_AT: point } });
        expect(killed.exitCode).toBe(137);
        const again = await sandbox.cli(id, TO_EIGHT, id === here ? { home: killed.home } : {});
        expect(again).toMatchObject({ exitCode: 0, stderr: "" });
        await expectOnce(id);
      }
    },
  );

  test("looks up a purchase after a lost response, and buys nothing twice", async () => {
    proxy.inject({ method: "POST", path: /\/purchases$/, nth: 1, fault: { kind: "drop", when: "after" } });
    const env = { ...environmentFor(sandbox.ready.url, 4), SECUREFLAG_API_URL: proxy.url };
    const run = await runCli(TO_EIGHT, { env });
    expect(run.exitCode, run.stderr).toBe(0);
    expect(resultOf(run)).toMatchObject({ bought: 5 });
    await expectOnce(4);
  });

  test("counts what another job has in progress", async () => {
    const slow = await startCli(TO_EIGHT, { env: environmentFor(sandbox.ready.url, SLOW) });
    const pending = async () => {
      const path = `/organizations/${SLOW}/subscription`;
      const { body } = await sandbox.request("GET", path, { token: tokenOf(SLOW) });
      return (body as { pending: { licenses: number } }).pending.licenses;
    };
    while ((await pending()) === 0) expect(await sandbox.purchased(SLOW)).toBe(25);
    expect(resultOf(await sandbox.cli(SLOW, TO_EIGHT))).toMatchObject({ shortfall: 0, bought: 0 });
    expect(resultOf(await slow.ended)).toMatchObject({ bought: 5, purchase: { status: "succeeded" } });
    await expectOnce(SLOW);
  });
});

describe("what stops a top-up", () => {
  test.each([
    ["--max-licenses", "4", "max_licenses_exceeded", /would buy 5 licenses, and --max-licenses allows 4/],
    ["--max-total", "244.09", "max_total_exceeded", /£244.10, and --max-total allows £244.09/],
    ["--if-purchased", "24", "if_purchased_not_met", /25 licenses are purchased, and --if-purchased is 24/],
  ])("%s %s: exits with 7, the amount and the limit, and buys nothing", async (flag, limit, code, message) => {
    const run = await sandbox.cli(5, [...TO_EIGHT, flag, limit]);
    expect(run).toMatchObject({ exitCode: 7, stdout: "" });
    expect(errorOf(run)).toMatchObject({ code, message: expect.stringMatching(message), hint: expect.any(String) });
    expect(await sandbox.purchases(5)).toEqual([]);
  });

  test("a guard that is just met: buys", async () => {
    const guards = ["--max-licenses", "5", "--max-total", "244.10", "--if-purchased", "25"];
    expect((await sandbox.cli(6, [...TO_EIGHT, ...guards])).exitCode).toBe(0);
    await expectOnce(6);
  });

  test("a token's spending limit: exits with 5, the limit and what is left, in a dry run too", async () => {
    const real = await sandbox.cli(LIMITED, TO_EIGHT);
    const rehearsed = await sandbox.cli(LIMITED, ["top-up", "--available", "8", "--dry-run", "--json"]);
    for (const run of [real, rehearsed]) {
      expect(run).toMatchObject({ exitCode: 5, stdout: "" });
      expect(errorOf(run)).toMatchObject({ code: "spend_limit_exceeded" });
      expect(errorOf(run).message).toMatch(/costs £244.10, but the token "ci" has £200.00 left/);
    }
    expect(await sandbox.purchases(LIMITED)).toEqual([]);
  });

  test("a declined card: exits with 6, and the next run tries again", async () => {
    const home = await temporaryDirectory();
    for (const count of [1, 2]) {
      const run = await sandbox.cli(DECLINED, TO_EIGHT, { home });
      expect(run.exitCode).toBe(6);
      expect(resultOf(run)).toMatchObject({ shortfall: 5, bought: 0, purchase: { status: "failed" } });
      expect(await sandbox.purchases(DECLINED)).toHaveLength(count);
    }
  });

  test("an approval: exits with 8 and its URL, again for a second run, and nothing more is bought elsewhere", async () => {
    const home = await temporaryDirectory();
    const first = await sandbox.cli(APPROVAL, TO_EIGHT, { home });
    const again = await sandbox.cli(APPROVAL, TO_EIGHT, { home });
    const elsewhere = await sandbox.cli(APPROVAL, TO_EIGHT);
    expect([first.exitCode, again.exitCode, elsewhere.exitCode]).toEqual([8, 8, 0]);
    const { purchase } = resultOf<ToppedUp>(first);
    expect(resultOf(again)).toMatchObject({ replayed: true, purchase: { id: purchase?.id } });
    expect(errorOf(again).hint).toContain("/pay/");
    expect(resultOf(elsewhere)).toMatchObject({ shortfall: 0, purchase: null });
    expect(await sandbox.purchases(APPROVAL)).toHaveLength(1);
  });
});
