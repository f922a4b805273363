import { type CalendarDate, startOfDateInZone } from "./calendar.ts";
import { BillingError } from "./errors.ts";

/** The states of a purchase (purchase.md, States). `paid` only ever exists inside the transaction that fulfils or refunds. */
export type PurchaseState =
  | "accepted"
  | "charging"
  | "requires_approval"
  | "processing"
  | "unknown"
  | "paid"
  | "fulfilled"
  | "declined"
  | "canceled"
  | "expired"
  | "refund_due"
  | "refunded"
  | "needs_review";

/** The status that the contract shows. */
export type PurchaseStatus = "processing" | "requires_approval" | "succeeded" | "failed" | "needs_review";

const NEXT: Readonly<Record<PurchaseState, readonly PurchaseState[]>> = {
  accepted: ["charging", "paid", "declined", "expired"],
  charging: ["paid", "declined", "requires_approval", "processing", "unknown", "expired"],
  requires_approval: ["charging", "processing", "canceled", "expired", "paid"],
  processing: ["paid", "declined", "requires_approval", "unknown", "needs_review"],
  unknown: ["charging", "paid", "declined", "requires_approval", "processing", "needs_review"],
  paid: ["fulfilled", "refund_due"],
  fulfilled: [],
  declined: ["charging"],
  canceled: ["refund_due"],
  expired: ["refund_due"],
  refund_due: ["refunded", "needs_review"],
  refunded: [],
  needs_review: ["paid", "declined", "refund_due", "refunded"],
};

const STATUS: Readonly<Record<PurchaseState, PurchaseStatus>> = {
  accepted: "processing",
  charging: "processing",
  requires_approval: "requires_approval",
  processing: "processing",
  unknown: "processing",
  paid: "processing",
  fulfilled: "succeeded",
  declined: "failed",
  canceled: "failed",
  expired: "failed",
  refund_due: "failed",
  refunded: "failed",
  needs_review: "needs_review",
};

/** The states that still hold licenses and money back: accepted, not settled (details.md, 21). */
export const PENDING_STATES: readonly PurchaseState[] = [
  "accepted",
  "charging",
  "requires_approval",
  "processing",
  "unknown",
  "needs_review",
];

/** The states that a worker carries on from by itself (purchase.md, Paying). */
export const WORKABLE_STATES: readonly PurchaseState[] = [
  "accepted",
  "charging",
  "processing",
  "unknown",
  "needs_review",
  "refund_due",
];

/**
 * The states that a worker looks at only when their next look is due: a person is asked to pay, or the purchase has ended
 * and its payment may still arrive (purchase.md, Ends of time).
 */
export const WATCHED_STATES: readonly PurchaseState[] = ["requires_approval", "canceled", "expired"];

/** How long after its acceptance a purchase may still be paid (purchase.md, Ends of time; details.md, 11). */
const PAYABLE_MS = 24 * 3_600_000;

/**
 * Until when a purchase may be paid: 24 hours, and never into the next term (purchase.md, Ends of time; details.md, 11).
 *
 * @param acceptedAt milliseconds since the epoch
 * @param timeZone the billing time zone, in which the renewal date begins
 * @returns the first instant at which it may not be paid any more, milliseconds since the epoch
 */
export function paymentDeadline(acceptedAt: number, renewalDate: CalendarDate, timeZone: string): number {
  return Math.min(acceptedAt + PAYABLE_MS, startOfDateInZone(renewalDate, timeZone));
}

/** The status on the wire of a state. */
export function statusOf(state: PurchaseState): PurchaseStatus {
  return STATUS[state];
}

/** The states that a status of the wire stands for. */
export function statesOf(status: PurchaseStatus): readonly PurchaseState[] {
  return (Object.keys(STATUS) as PurchaseState[]).filter((state) => STATUS[state] === status);
}

/**
 * Refuses a transition that the state machine does not have.
 *
 * @throws BillingError `invalid_state`
 */
export function assertTransition(from: PurchaseState, to: PurchaseState): void {
  if (!NEXT[from].includes(to)) {
    throw new BillingError("invalid_state", `A purchase that is ${from} cannot become ${to}`);
  }
}
