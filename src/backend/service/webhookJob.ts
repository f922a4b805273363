import type { Selectable } from "kysely";
import { claimDue } from "../database/claims.ts";
import type { Database, PurchaseKey } from "../database/schema.ts";
import { GatewayRefusal } from "../payments/gateway.ts";
import { makeDue } from "../purchases/leases.ts";
import type { WorkerDeps } from "../purchases/worker.ts";
import { keepDispute } from "./disputes.ts";
import { organizationOf } from "./findings.ts";
import { reconcilePayment } from "./reconcile.ts";

type EventRow = Selectable<Database["webhook_events"]>;

/** How long an instance has an event for itself, and after how long it is tried again; milliseconds. */
const CLAIM_MS = 60_000;

/**
 * Handles events that say that money may have moved without us: refunds, disputes, and payments of purchases that were over.
 * The payment is read from the provider and compared with the ledger; differences and disputes are kept for an operator.
 *
 * @param limit how many at most
 * @returns whether there were any
 */
export async function handleEvents(deps: WorkerDeps, limit: number): Promise<boolean> {
  const now = deps.now();
  const events = await claimDue(deps.database, "webhook_events", { now, until: now + CLAIM_MS, limit });
  await Promise.all(events.map((event) => handleOrLog(deps, event)));
  return events.length > 0;
}

async function handleOrLog(deps: WorkerDeps, event: EventRow): Promise<void> {
  try {
    await handle(deps, event);
  } catch (error) {
    deps.log(`webhook ${event.id}`, error);
    // What the provider refuses to show will not be shown later.
    if (!(error instanceof GatewayRefusal)) return;
  }
  await deps.database.updateTable("webhook_events").set({ check_at: null }).where("id", "=", event.id).execute();
}

async function handle(deps: WorkerDeps, { type, object_id: id }: EventRow): Promise<void> {
  if (id === null) return;
  const { database, gateway, clock } = deps;
  if (type.startsWith("charge.dispute.")) {
    const dispute = await gateway.findDispute(id);
    const disputed = dispute?.paymentId ? await purchaseOf(deps, dispute.paymentId) : null;
    if (dispute && disputed) await keepDispute(database, dispute, disputed, clock.now());
    return;
  }
  const purchase = await purchaseOf(deps, id);
  if (purchase === null) return;
  // A refund of ours may be what the event is about.
  await makeDue(database, purchase, clock.now());
  await reconcilePayment(deps, { purchaseId: purchase.id, paymentId: id });
}

/** The purchase that a payment at the provider is for; `null` if it is not one of this service. */
async function purchaseOf({ gateway }: WorkerDeps, paymentId: string): Promise<PurchaseKey | null> {
  const { purchaseId } = await gateway.read(paymentId);
  const organization = organizationOf(purchaseId);
  return organization === null ? null : { organization_id: organization, id: purchaseId };
}
