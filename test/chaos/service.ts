/**
 * Kills, pauses and disconnects instances of the service, and its database, and checks that nobody paid twice or for
 * nothing (src/backend/README.md, Invariants). `npm run chaos:service -- [--for 30m] [--seed 7]` exits 1 if an invariant
 * is violated. The database is a cluster of its own; PostgreSQL and faketime have to be installed.
 */
import { removePlaces } from "../support/places.ts";
import { organization } from "../support/seed.ts";
import { Tally } from "./ledger.ts";
import { readOptions } from "./options.ts";
import { Random } from "./random.ts";
import { clockOrganizations, tellWrongTime } from "./serviceClocks.ts";
import { startCluster } from "./serviceCluster.ts";
import { DRAIN_CLIENTS, drainUnderLoad } from "./serviceDrain.ts";
import { createFleet, type Fleet } from "./serviceFleet.ts";
import { checkAccounts, checkOrders, settle } from "./serviceLedger.ts";
import type { Order } from "./serviceOrders.ts";
import { killAtServicePoints, pointOrganizations } from "./servicePoints.ts";
import { STORM_CARDS, stormService, WITHOUT_PERSON } from "./serviceStorm.ts";

const SEEDED_LICENSES = 25;

/** The first organization of each other part; those of the crash points are below. */
const FIRST = { storm: 41, clocks: 51, drain: 101 } as const;

const { seconds, seed } = readOptions();
const tally = new Tally();
console.log(
  `Chaos on the service with seed ${seed}: every crash point, wrong clocks, drains, then ${seconds} s of storm.`,
);

const some = (first: number, count: number) => Array.from({ length: count }, (_, index) => organization(first + index));
const organizations = [
  ...pointOrganizations(),
  ...STORM_CARDS.map((paymentMethod, index) => organization(FIRST.storm + index, { paymentMethod })),
  ...clockOrganizations(FIRST.clocks),
  ...some(FIRST.drain, DRAIN_CLIENTS),
];
const cluster = await startCluster();
let fleet: Fleet | null = null;
try {
  fleet = await createFleet(cluster, organizations);
  const orders: Order[] = [];
  orders.push(...(await killAtServicePoints(fleet, tally)));
  console.log(`Crash points: ${tally.kills} kills, ${tally.violations.length} violations.`);
  orders.push(...(await tellWrongTime(fleet, FIRST.clocks, tally)));
  orders.push(...(await drainUnderLoad(fleet, FIRST.drain, tally)));
  console.log(`Wrong clocks and drains: ${tally.violations.length} violations.`);
  const crowd = { first: FIRST.storm, count: STORM_CARDS.length, withoutPerson: WITHOUT_PERSON };
  orders.push(...(await stormService(fleet, { seconds, random: new Random(seed), crowd }, tally)));
  await settle(cluster, tally);
  await checkAccounts(cluster, SEEDED_LICENSES, tally);
  await checkOrders(cluster, orders, tally);
} catch (error) {
  // Said at once: cleaning up after it may fail as well.
  console.error(error);
  throw error;
} finally {
  for (const violation of tally.violations) console.error(`VIOLATION ${violation}`);
  await fleet?.stop();
  await cluster.stop();
  await removePlaces();
}
tally.report(seed);
