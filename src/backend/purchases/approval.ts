import type { Kysely } from "kysely";
import type { Database, PurchaseRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { BACKEND } from "../events/events.ts";
import { GatewayRefusal, GatewayUnavailable, type Payment, type PaymentGateway } from "../payments/gateway.ts";
import { attemptWith, forgetCardEntry, readCardEntry } from "./cardEntry.ts";
import { NEEDS_PERSON } from "./charge.ts";
import { makeDue } from "./leases.ts";
import { beginAttempt, isAsked, type NextAttempt } from "./pay.ts";
import { advancePurchase, settleWithin } from "./processor.ts";
import { deadlineOf } from "./schedule.ts";
import type { PurchaseRecord } from "./store.ts";
import type { WorkerDeps } from "./worker.ts";

/** Where a person can continue a payment on pages that are not ours, and how that went. */
export interface Approval {
  /** Where they approve the payment at their bank. */
  readonly bankUrl: string | null;
  /** Where the provider asks for a card. */
  readonly cardUrl: string | null;
  /** Why the bank did not approve the last attempt of a renewal, which was declined before. */
  readonly failure: string | null;
  /** Whether the provider did not answer. */
  readonly isUnknown: boolean;
}

const NOWHERE: Approval = { bankUrl: null, cardUrl: null, failure: null, isUnknown: false };

/**
 * Checks what a person did at their bank or on the provider's page. If that changes the purchase, a worker continues
 * it, as it would after a webhook.
 *
 * @param waitMs the longest wait for the worker, in milliseconds
 * @returns the purchase as it is now, and where the person can continue. What is paid already but not recorded yet, because
 *   another worker is at it, is `processing`: nobody may be asked to pay it again
 */
export async function followPerson(
  deps: BackendDeps,
  row: PurchaseRecord,
  waitMs: number,
  isClosing: () => boolean,
): Promise<{ row: PurchaseRecord; approval: Approval }> {
  if (!isAsked(row, deps.clock.now())) return { row, approval: NOWHERE };
  const first = await lookElsewhere(deps, row);
  if (!first.hasChanged) return { row, approval: first };
  await makeDue(deps.database, row, deps.clock.now());
  const isLeft = row.state === "declined" && !(await resumeOrLog(deps, row));
  if (isLeft && !first.isUnderway) return { row, approval: first };
  const begun = await settleWithin(deps, row, 0, isClosing);
  const second = isAsked(begun, deps.clock.now()) ? await lookElsewhere(deps, begun) : null;
  if (second !== null && !second.isUnderway) return { row: begun, approval: second };
  const after = await settleWithin(deps, begun, waitMs, isClosing);
  if (!isAsked(after, deps.clock.now())) return { row: after, approval: NOWHERE };
  const last = await lookElsewhere(deps, after);
  return { row: last.isUnderway ? { ...after, state: "processing" } : after, approval: last };
}

/** Continues a declined purchase. If the provider does not answer, it stays due. */
async function resumeOrLog(deps: BackendDeps, row: PurchaseRecord): Promise<boolean> {
  try {
    return await resumeDeclined(deps, row);
  } catch (error) {
    deps.log(`purchase ${row.id}`, error);
    return false;
  }
}

/** What a person may be doing elsewhere. */
interface Look extends Approval {
  /** Whether there is anything for a worker to do. */
  readonly hasChanged: boolean;
  /** Whether the payment is paid, or will be with a card that was entered. */
  readonly isUnderway: boolean;
}

async function lookElsewhere({ gateway }: Pick<BackendDeps, "gateway">, row: PurchaseRecord): Promise<Look> {
  try {
    const [payment, entry] = await Promise.all([readApproved(gateway, row), readCardEntry(gateway, row)]);
    const bankUrl = payment?.status === "requires_action" ? payment.approvalUrl : null;
    const failure = payment?.status === "requires_payment_method" ? (payment.failure?.message ?? null) : null;
    const isRefused = failure !== null && row.failure_code === null;
    const isMoved = payment !== null && IS_MOVED.has(payment.status);
    return {
      bankUrl,
      cardUrl: entry?.status === "open" ? entry.url : null,
      failure: row.state === "declined" && row.failure_code === NEEDS_PERSON.code ? failure : null,
      isUnknown: false,
      hasChanged: isMoved || isRefused || (entry !== null && entry.status !== "open"),
      isUnderway: (payment !== null && IS_PAID.has(payment.status)) || entry?.status === "complete",
    };
  } catch (error) {
    if (!(error instanceof GatewayUnavailable || error instanceof GatewayRefusal)) throw error;
    return { ...NOWHERE, isUnknown: true, hasChanged: false, isUnderway: false };
  }
}

const IS_MOVED: ReadonlySet<string> = new Set(["succeeded", "processing", "canceled"]);

/**
 * Reads the payment of a purchase that a person tried to pay, which their bank may have approved since. A renewal may have
 * been tried again without them meanwhile.
 */
async function readApproved(
  gateway: PaymentGateway,
  { kind, payment_id, by_person }: PurchaseRow,
): Promise<Payment | null> {
  const mayBeApproved = kind === "renewal" || by_person === 1;
  return gateway.customers === null || payment_id === null || !mayBeApproved ? null : gateway.read(payment_id);
}

/**
 * Continues a declined purchase if its payment took money after all, because the bank approved it while nobody was
 * waiting, or if a person has entered a card since. Does nothing otherwise.
 *
 * @returns whether another attempt has begun
 */
export async function resumeDeclined(deps: WorkerDeps, purchase: PurchaseRow): Promise<boolean> {
  const attempt = await resumption(deps, purchase);
  if (attempt === null) return false;
  const times = { now: deps.clock.now(), machine: deps.now(), deadline: deadlineOf(purchase) };
  try {
    if (!(await beginAttempt(deps.database, purchase, attempt, times))) return false;
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    deps.log(`purchase ${purchase.id}`, error);
    await forgetCardEntry(deps, purchase);
    return false;
  }
  await advancePurchase(deps, purchase);
  return true;
}

async function resumption(deps: WorkerDeps, purchase: PurchaseRow): Promise<NextAttempt | null> {
  const { payment_method: paymentMethod, payment_method_label: label, return_url: returnUrl } = purchase;
  const payment = await readApproved(deps.gateway, purchase);
  if (payment && IS_PAID.has(payment.status))
    return { paymentMethod, label, byPerson: true, returnUrl, actor: BACKEND, isPaid: true };
  const entry = await readCardEntry(deps.gateway, purchase);
  if (entry?.status === "over") await forgetCardEntry(deps, purchase);
  if (entry?.status !== "complete") return null;
  deps.reach("B15");
  return attemptWith(entry.method, purchase);
}

const IS_PAID: ReadonlySet<string> = new Set(["succeeded", "processing"]);

/** Sets when a declined purchase is checked next (billing clock; `null` for never), unless it has changed. */
export async function checkDeclinedAt(
  database: Kysely<Database>,
  { organization_id, id, confirm_count, next_check_at }: PurchaseRow,
  checkAt: number | null,
): Promise<void> {
  await database
    .updateTable("purchases")
    .set({ next_check_at: checkAt })
    .where("organization_id", "=", organization_id)
    .where("id", "=", id)
    .where("state", "=", "declined")
    .where("confirm_count", "=", confirm_count)
    .where("next_check_at", "=", next_check_at)
    .execute();
}
