import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../stripe/faults.ts";
import type { RunningStandIn } from "../stripe/start.ts";
import type { Tally } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { Fleet } from "./serviceFleet.ts";
import type { Order } from "./serviceOrders.ts";
import { SIDES, stormService, type Weather } from "./serviceStorm.ts";
import { type BankOutcome, runBank } from "./stripeBank.ts";
import type { CustomerSettings } from "./stripeCustomers.ts";
import { type Mood, payAs } from "./stripePersons.ts";
import { webhookOf } from "./stripePoints.ts";

/** Customers whose payments need no person. */
const WITHOUT_PERSON: readonly Omit<CustomerSettings, "id">[] = [
  { card: "pm_card_visa" },
  { card: "pm_card_mastercard", renewsThere: true },
  { card: "pm_card_visa", renewsThere: true },
  { card: "pm_card_chargeCustomerFail" },
  { card: "pm_stand_in_processing" },
];

const WITH_PERSON: readonly Omit<CustomerSettings, "id">[] = [
  { card: "pm_card_authenticationRequired" },
  { card: "pm_card_threeDSecure2Required", renewsThere: true },
  { card: null },
  { card: null },
  { card: null },
];

/** The cards that a person enters. */
const ENTERED = [
  "pm_card_visa",
  "pm_card_authenticationRequired",
  "pm_card_authenticationRequiredOnSetup",
  "pm_stand_in_processing",
  "pm_card_chargeCustomerFail",
] as const;

const MOODS: readonly Mood[] = [...Array<Mood>(12).fill("pay"), "refuse", "refuse", "cancel"];

const BANK: readonly BankOutcome[] = ["succeeded", "succeeded", "succeeded", "failed", "late"];

const REFUNDS = ["succeeded", "pending", "failed"] as const;

const CALLS = [
  "customers.create",
  "paymentIntents.create",
  "paymentIntents.confirm",
  "paymentIntents.confirm",
  "paymentIntents.retrieve",
  "paymentIntents.cancel",
  "paymentMethods.retrieve",
  "checkout.sessions.create",
  "checkout.sessions.retrieve",
  "refunds.create",
  "refunds.retrieve",
  "subscriptions.retrieve",
  "subscriptionItems.update",
] as const satisfies readonly Fault["call"][];

/** What goes wrong. A connection that breaks twice is lost, because the client repeats a request once. */
const FAULTS: readonly Omit<Fault, "call">[] = [
  { effect: "lost", when: "before", times: 2 },
  { effect: "lost", when: "after", times: 1 },
  { effect: "lost", when: "after", times: 2 },
  { effect: "failed", when: "before" },
  { effect: "failed", when: "after" },
  { effect: "slow", when: "before", milliseconds: 2_000 },
  { effect: "slow", when: "after", milliseconds: 6_000 },
  { effect: "rate_limit" },
  { effect: "lock_timeout" },
  { effect: "key_in_use" },
];

/** How many faults may wait for a request. */
const MAX_FAULTS = 3;

/** For how long such a key is left alone here, milliseconds. */
const KEY_MS = 2_000;

/** The organizations of the storm. */
export function stripeStormOrganizations(first: number): CustomerSettings[] {
  return [...WITHOUT_PERSON, ...WITH_PERSON].map((settings, index) => ({ id: first + index, ...settings }));
}

/**
 * Lets it storm while the stand-in fails, is killed, and sends its webhooks late, twice and in another order, while banks
 * take their time and persons pay, refuse and cancel. Returns the orders, all of which have ended.
 *
 * @param first the first of the storm's organizations
 */
export async function stormStripe(
  fleet: Fleet,
  standIn: RunningStandIn,
  { seconds, random, first }: { seconds: number; random: Random; first: number },
  tally: Tally,
): Promise<Order[]> {
  const crowd = {
    first,
    count: WITHOUT_PERSON.length + WITH_PERSON.length,
    withoutPerson: WITHOUT_PERSON.length,
    pay: payAs({ card: () => random.of(ENTERED), mood: () => random.of(MOODS) }),
  };
  const more = async (weather: Weather) => {
    const harmed = { ...weather, standIn };
    await Promise.all([failCalls(harmed), passTime(harmed), disturbWebhooks(harmed), killStandIn(harmed)]);
    await standIn.control.clearFaults();
    await sendWebhooks(fleet, standIn, {});
    await standIn.control.release("shuffled");
  };
  const orders = stormService(fleet, { seconds, random, crowd, more }, tally);
  await runBank(fleet, standIn, { outcome: () => random.of(BANK), refund: () => random.of(REFUNDS) }, orders);
  return orders;
}

interface Harmed extends Weather {
  readonly standIn: RunningStandIn;
}

async function failCalls({ standIn, random, tally, until }: Harmed): Promise<void> {
  while (performance.now() < until) {
    await sleep(random.between(300, 1_200));
    await quietly(async () => {
      if ((await standIn.control.faults()).length >= MAX_FAULTS) return standIn.control.clearFaults();
      await standIn.control.fault({ call: random.of(CALLS), ...random.of(FAULTS) });
      tally.faults += 1;
    });
  }
}

/** Lets the minute go by for which a key is left alone that the stand-in failed with: what it did is known at once. */
async function passTime({ fleet, until }: Harmed): Promise<void> {
  while (performance.now() < until) {
    await sleep(KEY_MS);
    await fleet.cluster.query("update purchases set key_retry_at = 1 where key_retry_at > 1");
  }
}

async function disturbWebhooks({ fleet, standIn, random, until }: Harmed): Promise<void> {
  while (performance.now() < until) {
    await quietly(async () => {
      const mode = random.of(["immediate", "immediate", "held", "off"] as const);
      await sendWebhooks(fleet, standIn, { mode, copies: random.between(1, 3), spread: random.between(0, 3_000) });
      await standIn.control.release("shuffled");
    });
    await sleep(random.between(500, 2_000));
  }
}

type WebhookSettings = Parameters<RunningStandIn["control"]["setWebhooks"]>[0];

/** Sends webhooks to both instances. */
async function sendWebhooks(
  fleet: Fleet,
  standIn: RunningStandIn,
  settings: Omit<WebhookSettings, "urls">,
): Promise<void> {
  await standIn.control.setWebhooks({ urls: SIDES.map((side) => webhookOf(fleet, side)), ...settings });
}

/** Kills the stand-in again and again. It runs in the end. */
async function killStandIn({ standIn, random, tally, until }: Harmed): Promise<void> {
  for (;;) {
    await sleep(random.between(3_000, 8_000));
    if (performance.now() >= until) return;
    await standIn.kill();
    await sleep(random.between(0, 1_500));
    await standIn.restart();
    tally.faults += 1;
  }
}

/** Does what may fail because something is away. */
async function quietly(work: () => Promise<unknown>): Promise<void> {
  await work().catch(() => {});
}
