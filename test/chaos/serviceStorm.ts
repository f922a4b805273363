import { setTimeout as sleep } from "node:timers/promises";
import type { Tally } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { Fleet } from "./serviceFleet.ts";
import { buyOverHttp, buyWithCli, newOrder, type Order } from "./serviceOrders.ts";

/** The cards of the storm's organizations. The program buys only with those that need no person. */
export const STORM_CARDS = [
  "card_ok",
  "card_ok",
  "card_processing",
  "card_timeout",
  "card_declined",
  "card_requires_approval",
] as const;

const WITHOUT_PERSON = 5;
const HTTP_CLIENTS = 8;
const CLI_CLIENTS = 2;
const SIDES = [0, 1] as const;

/** How long an instance is paused, milliseconds: longer than a lease. */
const PAUSE_MS = 11_000;

interface Weather {
  readonly fleet: Fleet;
  readonly random: Random;
  readonly tally: Tally;
  readonly until: number;
  /** The organization of the first card. */
  readonly first: number;
}

/**
 * Lets clients buy from two instances which are killed and paused at random, while connections to the database are cut and
 * the database itself crashes. Returns the orders, all of which have ended.
 *
 * @param seconds how long to do harm
 * @param first the organization of the first card
 */
export async function stormService(
  fleet: Fleet,
  { seconds, random, first }: { seconds: number; random: Random; first: number },
  tally: Tally,
): Promise<Order[]> {
  const weather = { fleet, random, tally, first, until: performance.now() + seconds * 1_000 };
  await Promise.all(SIDES.map((side) => fleet.start(side)));
  const clients = [
    ...Array.from({ length: HTTP_CLIENTS }, () => client(weather, STORM_CARDS.length, buyOverHttp)),
    ...Array.from({ length: CLI_CLIENTS }, () => client(weather, WITHOUT_PERSON, buyWithCli)),
  ];
  await Promise.all([...SIDES.map((side) => harmInstance(weather, side)), cutConnections(weather), crash(weather)]);
  return (await Promise.all(clients)).flat();
}

/** Buys one order after another, each request from an instance at random. */
async function client(
  { fleet, random, tally, until, first }: Weather,
  cards: number,
  buy: typeof buyOverHttp,
): Promise<Order[]> {
  const orders: Order[] = [];
  while (performance.now() < until) {
    const order = newOrder(first + random.between(0, cards - 1), random.between(1, 3));
    orders.push(order);
    await buy(order, () => fleet.url(random.of(SIDES)), tally);
  }
  return orders;
}

/** Kills an instance or pauses it, again and again. It runs in the end. */
async function harmInstance({ fleet, random, tally, until }: Weather, side: number): Promise<void> {
  while (performance.now() < until) {
    await sleep(random.between(500, 5_000));
    tally.kills += 1;
    if (random.next() < 0.15) {
      const { process } = fleet.instance(side);
      process.kill("SIGSTOP");
      await sleep(PAUSE_MS);
      process.kill("SIGCONT");
      continue;
    }
    const signal = random.of(["SIGKILL", "SIGKILL", "SIGTERM"] as const);
    const exitCode = await fleet.end(side, signal);
    tally.expect(signal === "SIGKILL" || exitCode === 0, `instance ${side} ended ${exitCode} after ${signal}`);
    await sleep(random.between(0, 800));
    await fleet.start(side);
  }
}

async function cutConnections({ fleet, random, tally, until }: Weather): Promise<void> {
  while (performance.now() < until) {
    await sleep(random.between(100, 1_500));
    tally.faults += await fleet.cluster.terminate(random.between(1, 6));
  }
}

async function crash({ fleet, random, tally, until }: Weather): Promise<void> {
  for (;;) {
    await sleep(random.between(6_000, 12_000));
    if (performance.now() >= until) return;
    await fleet.cluster.crash();
    tally.faults += 1;
  }
}
