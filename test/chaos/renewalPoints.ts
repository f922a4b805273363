import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Purchase } from "../../src/contract/billing.ts";
import { actOnPage } from "../support/paymentPage.ts";
import { temporaryDirectory } from "../support/places.ts";
import { type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";
import { checkInvariants, checkTerms, type Tally } from "./ledger.ts";
import { openPages } from "./persons.ts";
import { Random } from "./random.ts";

/** The crash points of a renewal, in order. At B12 it was made but not charged. */
const POINTS = ["B0", "B12", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B10"];
const CARDS = [
  "card_ok",
  "card_ok",
  "card_processing",
  "card_timeout",
  "card_declined",
  "card_requires_approval",
  null,
];

/** Anchored on the last day of a month. The clock starts in term 9, which ends on 2026-11-30. */
const ANCHOR = "2026-01-31";
const SEEDED_TERM = 9;
const MONTHLY = { interval: "month", anchorDate: ANCHOR } as const;

const ADVANCE = ["sandbox", "clock", "advance", "--json"];
const UNREACHABLE = 10;

/** Kills the backend at every point of a renewal while the clock advances, and while someone pays a declined one. */
export async function killWhileRenewing(tally: Tally): Promise<void> {
  for (const point of POINTS) await killAdvancing(point, "card_ok", tally);
  for (const point of ["B12", "B7"]) await killAdvancing(point, "card_processing", tally);
  for (const point of ["B2", "B6", "B7", "B8"]) await killPaying(point, tally);
}

async function killAdvancing(point: string, paymentMethod: string, tally: Tally): Promise<void> {
  const where = `${point}, renewing with ${paymentMethod}`;
  const data = join(await temporaryDirectory(), "data");
  const content = seed(organization(1, { paymentMethod, subscription: MONTHLY }));
  const armed = await startSandbox({ data, seed: content, env: { SECUREFLAG_CRASH_AT: point } });
  const advancing = armed.cli(1, [...ADVANCE, "--to-renewal"]);
  await armed.died();
  tally.kills += 1;
  const { exitCode, stderr } = await advancing;
  tally.expect(exitCode === UNREACHABLE, `${where}: advancing ended ${exitCode} ${stderr}`);
  const sandbox = await startSandbox({ data, now: null });
  try {
    const { now } = (await sandbox.request("GET", "//sandbox")).body as { now: string };
    // The first notification is the reminder of 7 days before.
    const day = point === "B10" ? "2026-11-23" : "2026-11-30";
    tally.expect(now.startsWith(day), `${where}: the clock went back to ${now}`);
    const again = await sandbox.cli(1, [...ADVANCE, "--to", "2026-12-31"]);
    tally.expect(again.exitCode === 0, `${where}: advancing again ended ${again.exitCode} ${again.stderr}`);
    const renewals = await checkInvariants(sandbox, 1, 25, tally);
    const paid = renewals.filter(({ status }) => status === "succeeded");
    tally.expect(paid.length === 2, `${where}: ${paid.length} of ${renewals.length} renewals paid where two were due`);
    await checkTerms(sandbox, 1, { anchorDate: ANCHOR, seeded: SEEDED_TERM, today: "2026-12-31" }, tally);
  } finally {
    await sandbox.stop();
  }
}

/** The backend crashes while a person pays a declined renewal on its page. Missed renewals follow. */
async function killPaying(point: string, tally: Tally): Promise<void> {
  const where = `${point}, paying a failed renewal`;
  const data = join(await temporaryDirectory(), "data");
  const content = seed(organization(1, { paymentMethod: null, subscription: MONTHLY }));
  const before = await startSandbox({ data, seed: content });
  await before.cli(1, [...ADVANCE, "--to", "2027-02-01"]);
  const port = Number(new URL(before.ready.url).port);
  await before.stop();
  const armed = await startSandbox({ data, port, now: null, env: { SECUREFLAG_CRASH_AT: point } });
  const [page] = await openPages(armed, 1);
  const paying = actOnPage(page?.url ?? "", "pay", "card_ok").catch(() => null);
  await armed.died();
  tally.kills += 1;
  await paying;
  const sandbox = await startSandbox({ data, port, now: null });
  try {
    await actOnPage(page?.url ?? "", "pay", "card_ok").catch(() => null);
    await waitFor(async () => (await paidRenewals(sandbox, 1)).length === 3, 20_000, `${where}: three paid renewals`);
    await checkInvariants(sandbox, 1, 25, tally);
    await checkTerms(sandbox, 1, { anchorDate: ANCHOR, seeded: SEEDED_TERM, today: "2027-02-01" }, tally);
  } finally {
    await sandbox.stop();
  }
}

async function paidRenewals(sandbox: RunningSandbox, organizationId: number): Promise<Purchase[]> {
  const purchases = (await sandbox.purchases(organizationId)) as unknown as Purchase[];
  return purchases.filter(({ kind, status }) => kind === "renewal" && status === "succeeded");
}

/** The shared state of a storm of renewals. */
interface Years {
  readonly random: Random;
  readonly tally: Tally;
  readonly until: number;
  sandbox: RunningSandbox;
}

/**
 * Advances many organizations by years while the backend is killed at random, two programs move its clock at the same
 * time, and people pay declined renewals. Then checks every term.
 *
 * @param seconds how long to kill it
 * @param number the seed of the random choices
 */
export async function renewalStorm(seconds: number, number: number, tally: Tally): Promise<void> {
  const data = join(await temporaryDirectory(), "data");
  const organizations = CARDS.map((paymentMethod, index) =>
    organization(index + 1, { paymentMethod, subscription: MONTHLY }),
  );
  const sandbox = await startSandbox({ data, seed: seed(...organizations) });
  const years: Years = { random: new Random(number), tally, until: performance.now() + seconds * 1000, sandbox };
  const ids = organizations.map(({ id }) => id);
  try {
    await Promise.all([killBackends(years, data), passTime(years), passTime(years), payOpen(years, ids)]);
    const { body } = await years.sandbox.request("POST", "//sandbox/clock", { body: { days: 100 } });
    const today = (body as { now: string }).now.slice(0, 10);
    for (const id of ids) {
      await checkInvariants(years.sandbox, id, 25, tally);
      await checkTerms(years.sandbox, id, { anchorDate: ANCHOR, seeded: SEEDED_TERM, today }, tally);
    }
  } finally {
    await years.sandbox.stop();
  }
}

async function killBackends(years: Years, data: string): Promise<void> {
  const port = Number(new URL(years.sandbox.ready.url).port);
  while (performance.now() < years.until) {
    await sleep(years.random.between(300, 2_000));
    await years.sandbox.stop("SIGKILL");
    years.tally.kills += 1;
    years.sandbox = await startSandbox({ data, port, now: null });
  }
}

async function passTime(years: Years): Promise<void> {
  while (performance.now() < years.until) {
    const body = { days: years.random.between(1, 200) };
    // After a kill the clock is somewhere in between.
    await years.sandbox.request("POST", "//sandbox/clock", { body }).catch(() => sleep(100));
  }
}

/** Pays declined renewals, with good and bad cards. */
async function payOpen(years: Years, ids: readonly number[]): Promise<void> {
  while (performance.now() < years.until) {
    await sleep(years.random.between(20, 200));
    const open = await openPages(years.sandbox, years.random.of(ids)).catch(() => []);
    const card = years.random.of(["card_ok", "card_ok", "card_timeout", "card_processing", "card_declined"]);
    for (const { url } of open) {
      years.tally.clicks += 1;
      const answer = await actOnPage(url, "pay", card).catch(() => null);
      if (answer) years.tally.expect(answer.status < 500 || answer.status === 503, `paying answered ${answer.status}`);
    }
  }
}
