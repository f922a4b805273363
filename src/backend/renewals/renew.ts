import { setImmediate } from "node:timers/promises";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../problem.ts";
import { advancePurchase, carryOn } from "../purchases/processor.ts";
import { beginAttempt } from "../store/paying.ts";
import { findPurchase } from "../store/purchases.ts";
import { makeRenewal, purchasesOpen } from "../store/renewals.ts";
import { BACKEND } from "../store/settlement.ts";
import { isRenewalDue, type OrganizationSubscription, readSubscription } from "../store/subscriptions.ts";

/**
 * Renews a subscription for every term that is due, one after the other and each only when the one before is paid. First
 * carries on the purchases of the old term, which hold a renewal up for an hour at most (purchase.md, Ends of time). Safe
 * to call for any organization, at any time, from any number of workers.
 */
export async function renewDue(deps: BackendDeps, organizationId: number): Promise<void> {
  for (;;) {
    // Many terms may be due, and SQLite answers without a turn of the event loop, which requests wait for.
    await setImmediate();
    const subscription = await readSubscription(deps.database, organizationId);
    if (!isRenewalDue(subscription, deps.clock.now())) return;
    for (const purchaseId of await purchasesOpen(deps.database, organizationId)) await carryOn(deps, purchaseId);
    const renewal = await makeRenewal(deps.database, organizationId, {
      purchaseId: `pur_${deps.random(12).toString("hex")}`,
      now: deps.clock.now(),
      graceDays: deps.renewalGraceDays,
      chargeStep: (currency) => deps.gateway.chargeStep(currency),
      reach: deps.reach,
    });
    if (!renewal) return;
    deps.reach("B12");
    await advancePurchase(deps, renewal.id);
  }
}

/**
 * The subscription of an organization, renewed as far as it is due: for what is decided at an instant, in the term of then.
 *
 * @param now the billing clock, milliseconds
 * @throws ProblemError `not_found`; `unavailable` while purchases of the old term hold the renewal up
 */
export async function readRenewed(
  deps: BackendDeps,
  organizationId: number,
  now: number,
): Promise<OrganizationSubscription> {
  const before = await readSubscription(deps.database, organizationId);
  if (!isRenewalDue(before, now)) return before;
  await renewDue(deps, organizationId);
  const after = await readSubscription(deps.database, organizationId);
  if (isRenewalDue(after, now)) throw renewalUnderWay();
  return after;
}

/** The refusal of what has to wait for a renewal. */
export function renewalUnderWay(): ProblemError {
  const message = "The renewal of the subscription is being processed; ask again in a moment";
  return new ProblemError("unavailable", message, {}, { "Retry-After": "5" });
}

/** Tries a failed renewal again with what the organization pays with now (details.md, 30). */
export async function retryRenewal(deps: BackendDeps, purchaseId: string): Promise<void> {
  const renewal = await findPurchase(deps.database, purchaseId);
  if (renewal?.state !== "declined") return;
  const { payment_method: paymentMethod } = await readSubscription(deps.database, renewal.organization_id);
  const attempt = { paymentMethod, byPerson: false, actor: BACKEND };
  const times = { now: deps.clock.now(), machine: deps.now(), deadline: Number.POSITIVE_INFINITY };
  if (await beginAttempt(deps.database, renewal, attempt, times)) await advancePurchase(deps, purchaseId);
}
