import { type CalendarDate, startOfDateInZone } from "./calendar.ts";
import { BillingError } from "./errors.ts";

/**
 * The states of a purchase (README.md, Purchase states). `paid` exists only inside the transaction that fulfills or
 * refunds.
 */
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

/** The status of a purchase on the wire. */
export type PurchaseStatus = "processing" | "requires_approval" | "succeeded" | "failed" | "needs_review";

const NEXT_STATES: Readonly<Record<PurchaseState, readonly PurchaseState[]>> = {
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

/** The states of an accepted purchase that is not settled yet. */
export const PENDING_STATES: readonly PurchaseState[] = [
  "accepted",
  "charging",
  "requires_approval",
  "processing",
  "unknown",
  "needs_review",
];

/** The states that a worker advances on its own. */
export const ADVANCED_STATES: readonly PurchaseState[] = [
  "accepted",
  "charging",
  "processing",
  "unknown",
  "needs_review",
  "refund_due",
];

/**
 * The states that a worker only checks, when a check is due: a person has to approve the payment, or the purchase has
 * ended but its payment may still arrive.
 */
export const CHECKED_STATES: readonly PurchaseState[] = ["requires_approval", "canceled", "expired"];

const PAYABLE_MS = 24 * 3_600_000;

/**
 * Returns the first instant at which a purchase can no longer be paid, in milliseconds since the epoch: 24 hours after
 * its acceptance, or the start of its renewal date if that is earlier (README.md, Purchase states).
 *
 * @param acceptedAt milliseconds since the epoch
 * @param timeZone the billing time zone, in which the renewal date begins
 */
export function paymentDeadline(acceptedAt: number, renewalDate: CalendarDate, timeZone: string): number {
  return Math.min(acceptedAt + PAYABLE_MS, startOfDateInZone(renewalDate, timeZone));
}

/** Returns the status that a state has on the wire. */
export function statusOf(state: PurchaseState): PurchaseStatus {
  return STATUS[state];
}

/** Returns the states with the given status. */
export function statesOf(status: PurchaseStatus): readonly PurchaseState[] {
  return (Object.keys(STATUS) as PurchaseState[]).filter((state) => STATUS[state] === status);
}

/**
 * Asserts that a purchase may move from one state to another.
 *
 * @throws BillingError `invalid_state`
 */
export function assertTransition(from: PurchaseState, to: PurchaseState): void {
  if (!NEXT_STATES[from].includes(to)) {
    throw new BillingError("invalid_state", `A purchase cannot move from ${from} to ${to}`);
  }
}
