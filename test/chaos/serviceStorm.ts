import { setTimeout as sleep } from "node:timers/promises";
import type { Tally } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { Fleet } from "./serviceFleet.ts";
import { buyOverHttp, buyWithCli, newOrder, type Order, type Paying } from "./serviceOrders.ts";

/** The cards of the storm's organizations. */
export const STORM_CARDS = [
  "card_ok",
  "card_ok",
  "card_processing",
  "card_timeout",
  "card_declined",
  "card_requires_approval",
] as const;

/** How many of them need no person. */
export const WITHOUT_PERSON = 5;
const HTTP_CLIENTS = 8;
const CLI_CLIENTS = 2;
/** The instances. */
export const SIDES = [0, 1] as const;

/** How long an instance is paused, milliseconds: longer than a lease. */
const PAUSE_MS = 11_000;

/** What goes on in a storm, and for how long. */
export interface Weather {
  readonly fleet: Fleet;
  readonly random: Random;
  readonly tally: Tally;
  /** When it ends, as of `performance.now()`. */
  readonly until: number;
}

/** Who buys in a storm. */
interface Crowd {
  /** The first organization, and how many there are; the program buys only for those that need no person. */
  readonly first: number;
  readonly count: number;
  readonly withoutPerson: number;
  /** What a person does where one has to pay. */
  readonly pay?: Paying;
}

/** How to let it storm. `more` harms others than instances and the database. */
interface StormOptions {
  readonly seconds: number;
  readonly random: Random;
  readonly crowd: Crowd;
  more?(weather: Weather): Promise<void>;
}

/**
 * Lets clients buy from two instances which are killed and paused at random, while connections to the database are cut and
 * the database itself crashes. Returns the orders, all of which have ended.
 *
 * @param seconds how long to do harm
 */
export async function stormService(
  fleet: Fleet,
  { seconds, random, crowd, more = async () => {} }: StormOptions,
  tally: Tally,
): Promise<Order[]> {
  await Promise.all(SIDES.map((side) => fleet.start(side)));
  const weather: Weather = { fleet, random, tally, until: performance.now() + seconds * 1_000 };
  const { first, count, withoutPerson, pay } = crowd;
  const overHttp: Buy = (order, route) => buyOverHttp(order, route, tally, pay);
  const clients = [
    ...Array.from({ length: HTTP_CLIENTS }, () => client(weather, { first, count }, overHttp)),
    ...Array.from({ length: CLI_CLIENTS }, () => client(weather, { first, count: withoutPerson }, buyWithCli)),
  ];
  const harms = [...SIDES.map((side) => harmInstance(weather, side)), cutConnections(weather), crash(weather)];
  await Promise.all([...harms, more(weather)]);
  return (await Promise.all(clients)).flat();
}

type Buy = typeof buyWithCli;

/** Buys one order after another, each request from an instance at random. */
async function client(
  { fleet, random, tally, until }: Weather,
  { first, count }: Pick<Crowd, "first" | "count">,
  buy: Buy,
): Promise<Order[]> {
  const orders: Order[] = [];
  while (performance.now() < until) {
    const order = newOrder(first + random.between(0, count - 1), random.between(1, 3));
    orders.push(order);
    await buy(order, () => fleet.url(random.of(SIDES)), tally);
  }
  return orders;
}

/** Kills an instance or pauses it, again and again. It lives longer than it takes to start, and runs in the end. */
async function harmInstance({ fleet, random, tally, until }: Weather, side: number): Promise<void> {
  let startTook = 0;
  while (performance.now() < until) {
    await sleep(startTook + random.between(500, 5_000));
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
    const start = performance.now();
    await fleet.start(side);
    startTook = performance.now() - start;
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
