/**
 * Kills instances of the service that are paid through a stand-in for Stripe, and the stand-in, and checks that its money,
 * the ledger and the receipts agree (src/backend/README.md, Invariants). `npm run chaos:stripe -- [--for 30m] [--seed 7]`
 * exits 1 if an invariant is violated. The database is a cluster of its own; PostgreSQL has to be installed.
 */
import { startStandIn } from "../stripe/start.ts";
import { removePlaces } from "../support/places.ts";
import { Tally } from "./ledger.ts";
import { readOptions } from "./options.ts";
import { Random } from "./random.ts";
import { startCluster } from "./serviceCluster.ts";
import { createFleet, type Fleet, type Provider } from "./serviceFleet.ts";
import { checkOrders } from "./serviceLedger.ts";
import type { Order } from "./serviceOrders.ts";
import { createCustomers, storeCards } from "./stripeCustomers.ts";
import { checkStripe, settleStripe } from "./stripeLedger.ts";
import { killAtStripePoints, stripePointOrganizations } from "./stripePoints.ts";
import { stormStripe, stripeStormOrganizations } from "./stripeStorm.ts";

/** The first organization of the storm; those of the crash points are below. */
const FIRST_OF_STORM = 41;

const { seconds, seed } = readOptions();
const tally = new Tally();
console.log(`Chaos with Stripe, seed ${seed}: every crash point, then ${seconds} s of storm.`);

const [cluster, standIn] = await Promise.all([startCluster(), startStandIn()]);
const { key, webhookSecret, url } = standIn.ready;
const provider: Provider = {
  args: ["--payments", "stripe", "--test-mode"],
  env: {
    SECUREFLAG_STRIPE_KEY: key,
    SECUREFLAG_STRIPE_WEBHOOK_SECRETS: webhookSecret,
    SECUREFLAG_STRIPE_API_URL: url,
  },
};
let fleet: Fleet | null = null;
try {
  const customers = await createCustomers(standIn, [
    ...stripePointOrganizations(),
    ...stripeStormOrganizations(FIRST_OF_STORM),
  ]);
  fleet = await createFleet(
    cluster,
    customers.map(({ seed: organization }) => organization),
    provider,
  );
  await storeCards(cluster, customers);
  const orders: Order[] = [];
  orders.push(...(await killAtStripePoints(fleet, standIn, tally)));
  console.log(`Crash points: ${tally.kills} kills, ${tally.violations.length} violations.`);
  const storm = { seconds, random: new Random(seed), first: FIRST_OF_STORM };
  orders.push(...(await stormStripe(fleet, standIn, storm, tally)));
  await settleStripe(fleet, standIn, tally);
  await checkStripe(fleet, standIn, tally);
  await checkOrders(cluster, orders, tally);
} catch (error) {
  // Said at once: cleaning up after it may fail as well.
  console.error(error);
  throw error;
} finally {
  for (const violation of tally.violations) console.error(`VIOLATION ${violation}`);
  await fleet?.stop();
  await Promise.all([cluster.stop(), standIn.kill()]);
  await removePlaces();
}
tally.report(seed);
