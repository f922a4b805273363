import type { RefundOutcome } from "../stripe/cards.ts";
import type { RunningStandIn } from "../stripe/start.ts";
import { waitFor } from "../support/wait.ts";
import type { Tally } from "./ledger.ts";
import { armed, type Fleet } from "./serviceFleet.ts";
import type { Order } from "./serviceOrders.ts";
import {
  buyFrom,
  expectKilled,
  killAlone,
  killBuying,
  killRenewing,
  killSending,
  NO_JOBS,
  type Scene,
  SURVIVOR,
} from "./servicePoints.ts";
import { endTerm, PROMPT_BANK, runBank } from "./stripeBank.ts";
import type { CustomerSettings } from "./stripeCustomers.ts";
import { payAs } from "./stripePersons.ts";

/** The instances that are killed beside the survivor. */
const [BUYING, HEARING] = [1, 2] as const;

/** How many organizations have a card that pays at once. */
const PAYING = 20;

/** The organizations of each other kind. */
const FIRST = { renewing: 31, cardless: 33, slow: 36 } as const;

/** What becomes of refunds. */
const REFUNDS = ["succeeded", "pending", "failed"] as const satisfies readonly RefundOutcome[];

/** How long payments take to be processing at most, milliseconds. */
const STEP_MS = 30_000;

const some = (first: number, count: number, more: Omit<CustomerSettings, "id">) =>
  Array.from({ length: count }, (_, index) => ({ id: first + index, ...more }));

/** The organizations that `killAtStripePoints` needs. */
export function stripePointOrganizations(): CustomerSettings[] {
  return [
    ...some(1, PAYING, { card: "pm_card_visa" }),
    ...some(FIRST.renewing, 1, { card: "pm_card_visa", renewsThere: true }),
    ...some(FIRST.cardless, 2, { card: null }),
    ...some(FIRST.slow, REFUNDS.length, { card: "pm_stand_in_processing" }),
  ];
}

interface StripeScene extends Scene {
  readonly standIn: RunningStandIn;
}

/**
 * Kills instances at every crash point of a purchase that is paid through Stripe, one at a time per organization. Returns
 * the orders that were bought meanwhile.
 */
export async function killAtStripePoints(fleet: Fleet, standIn: RunningStandIn, tally: Tally): Promise<Order[]> {
  let taken = 0;
  const scene: StripeScene = { fleet, standIn, tally, orders: [], take: () => (taken += 1) };
  await killSending(scene);
  await killRenewing(scene);
  await standIn.control.setWebhooks({ urls: [webhookOf(fleet, SURVIVOR)] });
  const open = await killAlone(scene, "B13", { organizationId: FIRST.renewing });
  await fleet.start(SURVIVOR, { env: armed("B15"), args: NO_JOBS });
  open.push(...(await buySlowly(scene)), buyFrom(scene, SURVIVOR, { organizationId: FIRST.cardless, pay: payAs() }));
  await expectKilled(scene, SURVIVOR, "B15");
  await killRefunding(scene);
  await fleet.start(SURVIVOR);
  const buying = await Promise.all([killBuying(scene, BUYING), killHearing(scene, HEARING)]);
  const ended = Promise.all([...open, ...buying.flat()]);
  await runBank(fleet, standIn, PROMPT_BANK, ended);
  await ended;
  await fleet.end(SURVIVOR, "SIGTERM");
  return scene.orders;
}

/** Where an instance receives webhooks. */
export function webhookOf(fleet: Fleet, number: number): string {
  return new URL("/webhooks/stripe", fleet.url(number)).href;
}

/** B14: the page that asks for a card is open. B11: a webhook arrives, and is about to be stored, or stored. */
async function killHearing(scene: StripeScene, number: number): Promise<Promise<Order>[]> {
  const { fleet, standIn } = scene;
  await fleet.start(number, { env: armed("B14"), args: NO_JOBS });
  const buying = [buyFrom(scene, number, { organizationId: FIRST.cardless + 1, pay: payAs() })];
  await expectKilled(scene, number, "B14");
  for (const time of [1, 2]) {
    await fleet.start(number, { env: armed("B11", "kill", time), args: NO_JOBS });
    await standIn.control.setWebhooks({ urls: [webhookOf(fleet, number), webhookOf(fleet, SURVIVOR)] });
    buying.push(buyFrom(scene, SURVIVOR));
    await expectKilled(scene, number, `B11, time ${time}`);
  }
  return buying;
}

/** Buys with cards whose payments are processing, and waits until they are. Returns the purchases. */
async function buySlowly(scene: StripeScene): Promise<Promise<Order>[]> {
  const buying = REFUNDS.map((_, index) => buyFrom(scene, SURVIVOR, { organizationId: FIRST.slow + index }));
  await waitFor(async () => (await processing(scene)).length === REFUNDS.length, STEP_MS, "payments to be processing");
  return buying;
}

interface SlowPurchase {
  readonly id: string;
  readonly payment: string;
}

async function processing({ fleet }: StripeScene): Promise<SlowPurchase[]> {
  const sql = "select id, payment_id as payment from purchases where state = 'processing' order by id";
  return (await fleet.cluster.query(sql)) as unknown as SlowPurchase[];
}

/** B16: a payment arrived after the end of its term and was refunded, which is not recorded. */
async function killRefunding(scene: StripeScene): Promise<void> {
  const { fleet, standIn } = scene;
  const purchases = await processing(scene);
  // While no instance runs that has read one.
  for (const { id } of purchases) await endTerm(fleet, id);
  for (const [index, refund] of REFUNDS.entries()) {
    await fleet.start(SURVIVOR, { env: armed("B16") });
    const { payment = "" } = purchases[index] ?? {};
    await standIn.control.setRefund(payment, refund);
    await standIn.control.settlePayment(payment, "succeeded");
    await expectKilled(scene, SURVIVOR, `B16, refund ${refund}`);
  }
}
