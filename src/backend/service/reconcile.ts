import { setTimeout as delay } from "node:timers/promises";
import type { PurchaseKey } from "../database/schema.ts";
import { resumeDeclined } from "../purchases/approval.ts";
import { makeDue } from "../purchases/leases.ts";
import { advancePurchase } from "../purchases/processor.ts";
import { readPurchase } from "../purchases/store.ts";
import type { WorkerDeps } from "../purchases/worker.ts";
import { type Booking, bookingsSince, readBooking, readBookings } from "./bookings.ts";
import {
  type Compared,
  compare,
  differencesOf,
  dropFinding,
  type Finding,
  findingOf,
  keepFinding,
  openFindings,
  organizationOf,
  saveReconciled,
} from "./findings.ts";

/** What a reconciliation came to. Instants are milliseconds, by the database's clock. */
export interface Reconciliation {
  readonly from: number;
  readonly until: number;
  /** How many payments were compared. */
  readonly payments: number;
  /** How many differences were settled by advancing the purchase. */
  readonly advanced: number;
  /** The differences that are left, also earlier ones. */
  readonly findings: readonly Finding[];
  /** What they amount to, by currency, minor units. */
  readonly differences: ReadonlyMap<string, number>;
}

/** What to reconcile. */
export interface ReconcileOptions {
  /** Payments and refunds since this instant, milliseconds. */
  readonly from: number;
  /** Ends the work between two payments. */
  readonly signal?: AbortSignal;
}

interface Run extends ReconcileOptions {
  readonly deps: WorkerDeps;
  /** The payments that were compared, by purchase and payment. */
  readonly seen: Set<string>;
  readonly currencies: Set<string>;
  readonly findings: Finding[];
  payments: number;
  advanced: number;
}

/**
 * Compares the provider's payments and refunds since an instant with the purchases and the ledger, in both directions, and
 * differences of earlier runs once more. A purchase whose payment took money is advanced, as the sweep would; what remains is
 * kept for an operator, and nothing is given or refunded for it. Safe to run any number of times, also at the same time.
 *
 * @throws GatewayUnavailable
 */
export async function reconcile(deps: WorkerDeps, options: ReconcileOptions): Promise<Reconciliation> {
  const until = deps.clock.now();
  const run: Run = { ...options, deps, seen: new Set(), currencies: new Set(), findings: [], payments: 0, advanced: 0 };
  await compareCaptures(run);
  await compareBookings(run);
  const { payments } = run;
  const earlier = await openFindings(deps.database);
  for (const finding of earlier) await compareAgain(run, finding);
  const left = new Set(run.findings.map(pairOf));
  for (const finding of run.findings) await keepFinding(deps.database, finding);
  for (const finding of earlier) if (!left.has(pairOf(finding))) await dropFinding(deps.database, finding);
  const differences = differencesOf(run.findings);
  const none = [...run.currencies].map((currency) => [currency, 0] as const);
  await saveReconciled(deps.database, { until, differences: Object.fromEntries([...none, ...differences]) });
  return { from: options.from, until, payments, advanced: run.advanced, findings: run.findings, differences };
}

/** A payment, and the purchase that it names. */
type Pair = Pick<Finding, "purchaseId" | "paymentId">;

/** Compares one payment, as `reconcile` does. */
export async function reconcilePayment(deps: WorkerDeps, pair: Pair): Promise<void> {
  const now = deps.clock.now();
  const run: Run = { deps, from: now, seen: new Set(), currencies: new Set(), findings: [], payments: 0, advanced: 0 };
  await judge(run, await readBoth(deps, pair));
  const [finding] = run.findings;
  if (finding) await keepFinding(deps.database, finding);
  else await dropFinding(deps.database, pair);
}

function pairOf({ purchaseId, paymentId }: Pair): string {
  return `${purchaseId}:${paymentId ?? ""}`;
}

async function compareCaptures(run: Run): Promise<void> {
  const { database, gateway } = run.deps;
  for (let after: string | null = null; ; ) {
    const { captures, next } = await gateway.listCaptures(run.from, after);
    const bookings = await readBookings(
      database,
      captures.flatMap(({ purchaseId }) => keyOf(purchaseId) ?? []),
    );
    for (const capture of captures) {
      const booking = bookings.get(capture.purchaseId) ?? null;
      await judge(run, { capture, booking: isOf(booking, capture.paymentId) ? booking : null });
    }
    if (next === null) return;
    after = next;
  }
}

/** Compares what is booked since then and was not listed: it was captured earlier, or never. */
async function compareBookings(run: Run): Promise<void> {
  for await (const bookings of bookingsSince(run.deps.database, run.from)) {
    for (const booking of bookings.values()) {
      const { id: purchaseId, payment_id: paymentId } = booking;
      if (run.seen.has(pairOf({ purchaseId, paymentId }))) continue;
      const capture = paymentId === null ? null : await run.deps.gateway.findCapture(paymentId);
      await judge(run, { capture, booking });
    }
  }
}

async function compareAgain(run: Run, { purchaseId, paymentId }: Finding): Promise<void> {
  if (run.seen.has(pairOf({ purchaseId, paymentId }))) return;
  await judge(run, await readBoth(run.deps, { purchaseId, paymentId }));
}

function keyOf(purchaseId: string): PurchaseKey | null {
  const organization = organizationOf(purchaseId);
  return organization === null ? null : { organization_id: organization, id: purchaseId };
}

/** Whether a purchase is paid by a payment. Until it has saved one, it would get the one that the provider has for it. */
function isOf(booking: Booking | null, paymentId: string | null): boolean {
  return booking !== null && (booking.payment_id === null || paymentId === null || booking.payment_id === paymentId);
}

async function readBoth({ database, gateway }: WorkerDeps, { purchaseId, paymentId }: Pair): Promise<Compared> {
  const key = keyOf(purchaseId);
  const booking = key && (await readBooking(database, key));
  const capture = paymentId === null ? null : await gateway.findCapture(paymentId);
  return { capture, booking: isOf(booking, paymentId) ? booking : null };
}

/** Decides on a payment. Both records may have changed since they were read, so a difference is read once more. */
async function judge(run: Run, compared: Compared): Promise<void> {
  run.signal?.throwIfAborted();
  const { capture, booking } = compared;
  const known = capture ?? booking;
  if (known === null) return;
  const purchaseId = booking?.id ?? capture?.purchaseId ?? "";
  const paymentId = capture?.paymentId ?? booking?.payment_id ?? null;
  run.seen.add(pairOf({ purchaseId, paymentId }));
  if (booking) run.seen.add(pairOf({ purchaseId, paymentId: booking.payment_id }));
  run.currencies.add(known.currency);
  run.payments += 1;
  const found = compare(compared);
  if (found === null) return;
  const isAdvanced = booking !== null && (found === "notBooked" || found === "refundNotBooked");
  if (isAdvanced) await advance(run.deps, booking);
  const now = await readBoth(run.deps, { purchaseId, paymentId });
  const left = compare(now);
  if (left !== null) run.findings.push(findingOf(left, now));
  else if (isAdvanced) run.advanced += 1;
}

/** How long to wait for a worker that has the purchase, milliseconds. */
const [MAX_WAIT_MS, PAUSE_MS] = [15_000, 250];

/** Advances a purchase, also one that is only watched or was declined, and waits while another worker does. */
async function advance(deps: WorkerDeps, purchase: PurchaseKey): Promise<void> {
  await makeDue(deps.database, purchase, deps.clock.now());
  for (let waited = 0; waited < MAX_WAIT_MS; waited += PAUSE_MS) {
    const row = await readPurchase(deps.database, purchase.organization_id, purchase.id);
    if (row.state === "declined") await resumeDeclined(deps, row);
    else await advancePurchase(deps, row);
    const after = await readBooking(deps.database, purchase);
    if (after === null || after.lease_until <= deps.now()) return;
    await delay(PAUSE_MS);
  }
}
