import { dateInZone } from "../../billing/calendar.ts";
import { nextRetry } from "../../billing/renewal.ts";
import type { BackendDeps } from "../deps.ts";
import { type Clocks, LEASE_MS, renewLease, StaleLease } from "../store/leases.ts";
import type { PurchaseRow } from "../store/schema.ts";
import { BACKEND, endUnpaid, type Failure, fulfilPurchase, owePurchaseBack } from "../store/settlement.ts";
import { readSubscription } from "../store/subscriptions.ts";
import { deadlineOf, nextCheck, priceOf } from "./schedule.ts";

/** What a worker needs of the backend. */
export type WorkerDeps = Pick<BackendDeps, "database" | "gateway" | "clock" | "now" | "reach" | "log">;

/** One worker's turn at a purchase. */
export interface Turn extends WorkerDeps {
  /** A turn asks for the money at most once: an outcome that stays open is looked at again later. */
  hasConfirmed: boolean;
}

/** What one step came to: the purchase in its new state, `settled`, or `wait` for a later look. */
export type Step = PurchaseRow | "settled" | "wait";

/** How a purchase that waited ends unpaid, and who ended it, for the audit log. */
export interface WaitingEnd {
  readonly state: "canceled" | "expired";
  readonly actor: string;
}

const END_FAILURES: Readonly<Record<WaitingEnd["state"], Failure>> = {
  canceled: { code: "payment_canceled", message: "The purchase was canceled; nothing was charged." },
  expired: {
    code: "payment_expired",
    message: "Nobody paid the purchase in time; it expired and nothing was charged.",
  },
};

/** Both clocks now. */
export function clocksOf({ clock, now }: Pick<WorkerDeps, "clock" | "now">): Clocks {
  return { billing: clock.now(), machine: now() };
}

/** Holds a lease while work goes on. Work that finds that it lost the lease is given up: another worker went on. */
export async function holdLease(deps: WorkerDeps, lease: PurchaseRow, work: () => Promise<void>): Promise<void> {
  const renewal = setInterval(() => {
    renewLease(deps.database, lease, deps.now()).catch((error) => deps.log(`lease of ${lease.id}: ${error}`));
  }, LEASE_MS / 3);
  try {
    await work();
  } catch (error) {
    if (!(error instanceof StaleLease)) throw error;
    deps.log(`purchase ${lease.id}: another worker went on`);
  } finally {
    clearInterval(renewal);
  }
}

/** Until when a purchase may be paid, by the billing clock, milliseconds. */
export async function readDeadline({ database }: WorkerDeps, purchase: PurchaseRow): Promise<number> {
  const { time_zone } = await readSubscription(database, purchase.organization_id);
  return deadlineOf(purchase, time_zone);
}

/** The payment arrived: licenses now, or the money back when the term that was bought for has ended. */
export async function fulfil(turn: Turn, purchase: PurchaseRow): Promise<Step> {
  const now = turn.clock.now();
  if (purchase.total > 0 && (await isTermOver(turn, purchase, now))) {
    const message = "The payment arrived after the term had ended; it is refunded.";
    return owe(turn, purchase, { code: "term_ended", message });
  }
  await fulfilPurchase(turn.database, purchase, now);
  turn.reach("B8");
  return "settled";
}

/** A renewal is owed for its term also after that. */
async function isTermOver({ database }: Turn, purchase: PurchaseRow, now: number): Promise<boolean> {
  if (purchase.kind === "renewal") return false;
  const { time_zone } = await readSubscription(database, purchase.organization_id);
  return dateInZone(now, time_zone) >= priceOf(purchase).term.renewalDate;
}

/** The payment arrived, and its money is due back. */
export async function owe(turn: Turn, purchase: PurchaseRow, failure: Failure): Promise<Step> {
  await owePurchaseBack(turn.database, purchase, failure, turn.clock.now());
  return { ...purchase, state: "refund_due" };
}

/** The provider said no: nothing was charged, and nothing will be, unless it is a renewal, which is tried again. */
export async function decline(turn: Turn, purchase: PurchaseRow, failure: Failure): Promise<Step> {
  const now = turn.clock.now();
  const nextCheckAt = purchase.kind === "renewal" ? await readRetry(turn, purchase, now) : null;
  await endUnpaid(turn.database, purchase, { state: "declined", failure, actor: BACKEND, nextCheckAt }, now);
  return "settled";
}

async function readRetry({ database }: Turn, purchase: PurchaseRow, now: number): Promise<number | null> {
  const { time_zone } = await readSubscription(database, purchase.organization_id);
  return nextRetry(purchase.accepted_at, now, time_zone);
}

/** The provider canceled the payment of a purchase that waited; whether money arrives all the same is watched. */
export async function endWaiting(turn: Turn, purchase: PurchaseRow, { state, actor }: WaitingEnd): Promise<Step> {
  const now = turn.clock.now();
  const end = { state, failure: END_FAILURES[state], actor, nextCheckAt: nextCheck(now, now) };
  await endUnpaid(turn.database, purchase, end, now);
  return "settled";
}
