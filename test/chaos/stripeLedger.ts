import type { RunningStandIn } from "../stripe/start.ts";
import type { Tally } from "./ledger.ts";
import type { Fleet } from "./serviceFleet.ts";
import { checkAccounts, type Paid, settle } from "./serviceLedger.ts";
import { PROMPT_BANK, workAtBank } from "./stripeBank.ts";
import { SEEDED_LICENSES } from "./stripeCustomers.ts";

/** What would be looked at later is looked at now, as when time goes by. */
const MAKE_DUE = [
  "update purchases set next_check_at = 1 where next_check_at > 1 and state not in ('fulfilled', 'declined')",
  "update purchases set key_retry_at = 1 where key_retry_at > 1",
  "update provider_objects set check_at = 1 where check_at > 1",
  "update webhook_events set check_at = 1 where check_at > 1",
  "update outbox set claimed_until = 1 where sent_at is null and claimed_until > 1",
];

/** Lets the bank end every payment and refund, and waits until everything is settled. */
export async function settleStripe(fleet: Fleet, standIn: RunningStandIn, tally: Tally): Promise<void> {
  const { cluster } = fleet;
  await standIn.control.clearFaults();
  await standIn.control.release();
  for (const statement of MAKE_DUE) await cluster.query(statement);
  await settle(cluster, tally, () => workAtBank(fleet, standIn, PROMPT_BANK));
}

/** What the stand-in took. Its units are ours, in pounds. */
async function paidAt(standIn: RunningStandIn): Promise<Paid[]> {
  const captures = await standIn.control.captures();
  return captures.map(({ payment, metadata, amount, refunded }) => ({
    payment,
    purchase: metadata.purchaseId ?? "",
    amount,
    refunded,
  }));
}

/** Checks the invariants of all organizations, with the stand-in's account of the money, and its subscriptions. */
export async function checkStripe(fleet: Fleet, standIn: RunningStandIn, tally: Tally): Promise<void> {
  const { cluster } = fleet;
  await checkAccounts(cluster, SEEDED_LICENSES, tally, await paidAt(standIn));
  const renewedThere = await cluster.query(
    "select organization_id as id, licenses::int, provider_subscription from subscriptions where provider_subscription is not null",
  );
  for (const { id, licenses, provider_subscription } of renewedThere) {
    const { items } = await standIn.client().subscriptions.retrieve(String(provider_subscription));
    const quantity = items.data[0]?.quantity;
    tally.expect(quantity === licenses, `organization ${id}: ${licenses} licenses, and ${quantity} at the stand-in`);
  }
  for (const violation of await standIn.control.violations()) {
    tally.expect(false, `Stripe does not know ${JSON.stringify(violation)}`);
  }
}
