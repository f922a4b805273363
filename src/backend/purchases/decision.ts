import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import type { Kysely } from "kysely";
import type { Database, PurchaseRow, UserRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { recordEvent } from "../events/events.ts";
import { queueNotification } from "../events/outbox.ts";
import { type RouteDeps, register } from "../http/register.ts";
import { closingOf } from "../http/server.ts";
import { REJECTED } from "./outcomes.ts";
import { assertNotHeld, MAX_TRIES, RETRY_PAUSE_MS, reserveInNewMonth } from "./pay.ts";
import { cancelWaiting, settleWithin } from "./processor.ts";
import { deadlineOf } from "./schedule.ts";
import { type PurchaseRecord, readPurchase } from "./store.ts";
import { approvalDigest, approversOf, isBuyer } from "./threshold.ts";
import { paymentDeclined, purchaseAnswer } from "./views.ts";

/** Registers the decisions of another administrator on a purchase that waits for one (src/backend/README.md, Approval). */
export function registerDecisions(app: FastifyInstance, deps: RouteDeps): void {
  const isClosing = closingOf(app);

  register(app, deps, "approvePurchase", async ({ organization, params, body, identity, request }) => {
    assertNotHeld(deps);
    const found = await readPurchase(deps.database, organization.id, params.purchaseId);
    if (approvalDigest(found) !== body.digest) {
      throw notApprovable(`The digest is not that of purchase ${found.id}: look at the purchase again`);
    }
    const decided = await untilDecided(deps, found, (row) => approve(deps, row, identity.user));
    deps.reach("B18");
    const row = await settleWithin(deps, decided, 0, isClosing);
    const answer = purchaseAnswer(deps, row, request.host);
    deps.reach("B9");
    if (row.state === "declined") throw paymentDeclined(answer);
    const isSettled = answer.status === "succeeded" || answer.status === "failed";
    return { status: isSettled ? 200 : 202, body: answer };
  });

  register(app, deps, "rejectPurchase", async ({ organization, params, body, identity, request }) => {
    const found = await readPurchase(deps.database, organization.id, params.purchaseId);
    const decided = await untilDecided(deps, found, (row) => reject(deps, row, identity.user, body.reason));
    return { status: 200, body: purchaseAnswer(deps, decided, request.host) };
  });
}

/**
 * Repeats a decision until it is made: a worker may have the purchase for a moment.
 *
 * @param decide returns whether it is made, now or before
 * @returns the purchase as it is then
 */
async function untilDecided(
  deps: BackendDeps,
  found: PurchaseRecord,
  decide: (row: PurchaseRecord) => Promise<boolean>,
): Promise<PurchaseRecord> {
  let row = found;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const isDecided = await decide(row);
    row = await readPurchase(deps.database, found.organization_id, found.id);
    if (isDecided) return row;
    await delay(RETRY_PAUSE_MS);
  }
  const message = `Purchase ${found.id} is being checked; try again`;
  throw new BackendError("unavailable", message, {}, { "Retry-After": "5" });
}

/**
 * Approves a purchase in one transaction that begins to charge it; a worker goes on. Its spending limit is checked again in
 * another month than that of its acceptance.
 *
 * @returns whether it is approved; `false` if it has changed or is leased
 * @throws BackendError `forbidden`, `not_approvable`, `spend_limit_exceeded`
 */
async function approve(deps: BackendDeps, purchase: PurchaseRecord, user: UserRow): Promise<boolean> {
  const [now, machine] = [deps.clock.now(), deps.now()];
  return inTransaction(deps.database, async (tx) => {
    await assertMayDecide(tx, purchase, user);
    if (purchase.approved_at !== null) return true;
    assertWaits(purchase, now);
    const { organization_id: organizationId, id: purchaseId } = purchase;
    const approved = await tx
      .updateTable("purchases")
      .set((expression) => ({
        state: "charging",
        epoch: expression("epoch", "+", 1),
        approved_by: user.email,
        approved_at: now,
        attempted_at: now,
        spent_at: now,
        next_check_at: now,
      }))
      .where("organization_id", "=", organizationId)
      .where("id", "=", purchaseId)
      .where("state", "=", "awaiting_approval")
      .where("lease_until", "<=", machine)
      .executeTakeFirst();
    if (approved.numUpdatedRows === 0n) return false;
    await reserveInNewMonth(tx, purchase, now);
    const type = "purchase.approved";
    const data = { digest: approvalDigest(purchase), total: purchase.total, currency: purchase.currency };
    await recordEvent(tx, { organizationId, at: now, type, actor: user.email, purchaseId, data });
    const notification = { id: `${purchaseId}:${type}`, type, organizationId, purchaseId, to: purchase.buyer_email };
    await queueNotification(tx, notification, now);
    return true;
  });
}

/**
 * Ends a purchase that waits for approval.
 *
 * @returns whether it is rejected; `false` if it has changed or is leased
 * @throws BackendError `forbidden`, `not_approvable`, `unavailable` if the provider does not answer
 */
async function reject(deps: BackendDeps, purchase: PurchaseRecord, user: UserRow, reason: string): Promise<boolean> {
  await assertMayDecide(deps.database, purchase, user);
  if (isRejected(purchase)) return true;
  assertWaits(purchase, deps.clock.now());
  await cancelWaiting(deps, purchase, { actor: user.email, rejection: reason }, ["awaiting_approval"]);
  return isRejected(await readPurchase(deps.database, purchase.organization_id, purchase.id));
}

function isRejected({ state, failure_code }: PurchaseRow): boolean {
  return state === "canceled" && failure_code === REJECTED;
}

/** @throws BackendError `forbidden` for the buyer, and for an administrator who became one after the purchase was accepted */
async function assertMayDecide(database: Kysely<Database>, purchase: PurchaseRow, user: UserRow): Promise<void> {
  const approvers = await approversOf(database, purchase);
  if (approvers.some(({ userId }) => userId === user.id)) return;
  const bought = purchase.buyer_token_id === null ? "You bought it" : "A token of yours bought it";
  const which = user.id === purchase.payer_user_id ? "You paid it again" : bought;
  const why = isBuyer(purchase, user) ? which : `${user.email} was not an administrator before it was bought`;
  throw new BackendError("forbidden", `Another administrator has to decide on purchase ${purchase.id}. ${why}`);
}

/** @throws BackendError `not_approvable` */
function assertWaits(purchase: PurchaseRow, now: number): void {
  const { id, state, approved_at } = purchase;
  if (approved_at !== null) throw notApprovable(`Purchase ${id} has been approved`);
  if (state !== "awaiting_approval")
    throw notApprovable(`Purchase ${id} does not wait for the approval of an administrator`);
  if (now >= deadlineOf(purchase)) throw notApprovable(`The time to approve purchase ${id} is over`);
}

function notApprovable(message: string): BackendError {
  return new BackendError("not_approvable", message);
}
