import { type CalendarDate, startOfDateInZone } from "./calendar.ts";
import { BillingError } from "./errors.ts";

/**
 * The states of a purchase (README.md, Purchase states). `paid` exists only inside the transaction that fulfills or
 * refunds.
 */
export type PurchaseState =
  | "accepted"
  | "awaiting_approval"
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
  accepted: ["awaiting_approval", "charging", "paid", "declined", "expired"],
  awaiting_approval: ["charging", "paid", "canceled", "expired"],
  charging: ["paid", "declined", "requires_approval", "processing", "unknown", "expired"],
  requires_approval: ["charging", "processing", "canceled", "expired", "paid"],
  processing: ["paid", "declined", "requires_approval", "unknown", "needs_review"],
  unknown: ["charging", "paid", "declined", "requires_approval", "processing", "needs_review"],
  paid: ["fulfilled", "refund_due"],
  fulfilled: [],
  declined: ["awaiting_approval", "charging"],
  canceled: ["refund_due"],
  expired: ["refund_due"],
  refund_due: ["refunded", "needs_review"],
  refunded: [],
  needs_review: ["paid", "declined", "refund_due", "refunded"],
};

const STATUS: Readonly<Record<PurchaseState, PurchaseStatus>> = {
  accepted: "processing",
  awaiting_approval: "requires_approval",
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
  "awaiting_approval",
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
 * The states that a worker only checks, when a check is due: a person has to approve the purchase or its payment, or the
 * purchase has ended but its payment may still arrive.
 */
export const CHECKED_STATES: readonly PurchaseState[] = [
  "awaiting_approval",
  "requires_approval",
  "canceled",
  "expired",
];

const PAYABLE_MS = 24 * 3_600_000;

const APPROVABLE_MS = 72 * 3_600_000;

/**
 * Returns the first instant at which a purchase can no longer be paid, in milliseconds since the epoch: 24 hours after
 * its acceptance or its approval, or the start of its renewal date if that is earlier (README.md, Purchase states).
 *
 * @param acceptedAt when it was accepted or, if another administrator had to approve it, approved; milliseconds since the
 *   epoch
 * @param timeZone the billing time zone, in which the renewal date begins
 */
export function paymentDeadline(acceptedAt: number, renewalDate: CalendarDate, timeZone: string): number {
  return Math.min(acceptedAt + PAYABLE_MS, startOfDateInZone(renewalDate, timeZone));
}

/**
 * Returns the first instant at which another administrator can no longer approve a purchase, in milliseconds since the
 * epoch: 72 hours after it began to wait, or the start of its renewal date (README.md, Approval).
 *
 * @param since when it began to wait, milliseconds since the epoch
 * @param timeZone the billing time zone, in which the renewal date begins
 */
export function approvalDeadline(since: number, renewalDate: CalendarDate, timeZone: string): number {
  return Math.min(since + APPROVABLE_MS, startOfDateInZone(renewalDate, timeZone));
}

/** How far back the purchases reach that a threshold for approvals counts together, milliseconds. */
export const APPROVAL_WINDOW_MS = 24 * 3_600_000;

/**
 * Reports whether a purchase needs the approval of another administrator: with the organization's other purchases of the
 * last 24 hours that nobody approved, it is above the threshold. What costs nothing needs none (README.md, Approval).
 *
 * @param threshold, total and others: minor units of one currency, tax included; `threshold` is `null` without a policy
 */
export function needsApproval(threshold: number | null, total: number, others: number): boolean {
  return threshold !== null && total > 0 && total + others > threshold;
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
