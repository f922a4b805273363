import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Kysely } from "kysely";
import type { Database, PurchaseKey } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { problemHeaders, problemOf, problemText } from "../http/failure.ts";
import { readStripeEvent, type StripeEvent } from "../payments/stripe/webhooks.ts";
import { makeDue } from "../purchases/leases.ts";
import { createBuckets } from "./buckets.ts";
import { organizationOf } from "./findings.ts";
import type { Metrics } from "./metrics.ts";

/** Where Stripe sends its events. */
const PATH = "/webhooks/stripe";

const MAX_BYTES = 256 * 1024;

/** What an address may send, beside the limits of callers. */
const LIMIT = { rate: 100, burst: 1_000 };

/** The dependencies of webhooks. */
export interface WebhookDeps
  extends Pick<BackendDeps, "database" | "gateway" | "clock" | "now" | "random" | "reach" | "log"> {
  readonly metrics: Pick<Metrics, "webhooks" | "webhookLag">;
  /** The secrets that Stripe signs with: two while one replaces the other. */
  readonly secrets: readonly string[];
}

/** What became of a webhook. */
type Result = "stored" | "duplicate" | "ignored" | "other_mode";

/**
 * Registers the webhook of Stripe. An event is stored, and what it is about becomes due, in one transaction before the
 * answer; what became of that is read from Stripe later. So an event may arrive twice, late, and in any order
 * (src/backend/service/README.md, Webhooks).
 */
export function registerWebhooks(app: FastifyInstance, deps: WebhookDeps): void {
  const buckets = createBuckets(LIMIT, deps.now);
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    // A signature is of the bytes.
    scope.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
    scope.route({
      method: "POST",
      url: PATH,
      bodyLimit: MAX_BYTES,
      config: { operation: "webhook:stripe" },
      errorHandler: (error, request, reply) => sendProblem(deps, error as Error, request, reply),
      async onRequest({ ip }) {
        const seconds = Math.ceil(buckets.take(ip));
        if (seconds === 0) return;
        throw new BackendError("rate_limited", "Too many webhooks; try again", {}, { "Retry-After": String(seconds) });
      },
      async handler(request) {
        await receive(deps, request);
        return { received: true };
      },
    });
  });
}

async function receive(deps: WebhookDeps, { body, headers }: FastifyRequest): Promise<void> {
  const { metrics, secrets, now } = deps;
  const event = readStripeEvent(Buffer.isBuffer(body) ? body : Buffer.alloc(0), String(headers["stripe-signature"]), {
    secrets,
    now: now(),
  });
  const result = await store(deps, event);
  metrics.webhooks.inc({ type: event.type, result });
  if (result === "stored") metrics.webhookLag.observe(Math.max(0, now() - event.at) / 1_000);
}

async function store(deps: WebhookDeps, event: StripeEvent): Promise<Result> {
  if (event.subject === null) return "ignored";
  // Stripe repeats what is refused, so this is not.
  if (event.isLive !== (deps.gateway.account.mode === "live")) {
    deps.log(`webhook ${event.id}: of the other mode, ignored`);
    return "other_mode";
  }
  const isNew = await inTransaction(deps.database, async (tx) => {
    const stored = await insertEvent(tx, event, deps.now());
    if (stored) await makeSubjectDue(tx, event, deps);
    deps.reach("B11");
    return stored;
  });
  deps.reach("B11");
  return isNew ? "stored" : "duplicate";
}

/** Stores an event for good. Returns whether it is new. */
async function insertEvent(tx: Kysely<Database>, { id, type }: StripeEvent, now: number): Promise<boolean> {
  const stored = await tx
    .insertInto("webhook_events")
    .values({ id, type, object_id: null, received_at: now, check_at: null })
    .onConflict((conflict) => conflict.column("id").doNothing())
    .returning("id")
    .executeTakeFirst();
  return stored !== undefined;
}

/** Makes due whatever an event is about: a purchase, a customer or subscription, or a payment to compare. */
async function makeSubjectDue(
  tx: Kysely<Database>,
  { id, type, subject }: StripeEvent,
  { clock, now }: WebhookDeps,
): Promise<void> {
  const { purchaseId = null, followed = null, compared = null } = subject ?? {};
  const purchase = purchaseId === null ? null : keyOf(purchaseId);
  const isOpen = purchase !== null && (await makeDue(tx, purchase, clock.now()));
  if (followed !== null) {
    await tx.updateTable("provider_objects").set({ check_at: clock.now() }).where("id", "=", followed).execute();
  }
  if (compared === null) return;
  const isExpected = type === "payment_intent.succeeded" && (isOpen || !(await isUnpaid(tx, purchase)));
  if (isExpected) return;
  await tx.updateTable("webhook_events").set({ object_id: compared, check_at: now() }).where("id", "=", id).execute();
}

/** The purchase that metadata name, which anyone may have written who uses the account. */
function keyOf(purchaseId: string): PurchaseKey | null {
  const organization = organizationOf(purchaseId);
  return organization === null ? null : { organization_id: organization, id: purchaseId };
}

/** Whether a purchase is not known as paid, also because it is not known at all, as after a restore. */
async function isUnpaid(tx: Kysely<Database>, purchase: PurchaseKey | null): Promise<boolean> {
  if (purchase === null) return false;
  const known = await tx
    .selectFrom("purchases")
    .select("state")
    .where("organization_id", "=", purchase.organization_id)
    .where("id", "=", purchase.id)
    .executeTakeFirst();
  return known?.state !== "fulfilled";
}

function sendProblem(deps: WebhookDeps, error: Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(deps, error, request);
  const status = (error as { statusCode?: number }).statusCode === 413 ? 413 : problem.status;
  deps.metrics.webhooks.inc({ type: "none", result: status < 500 ? "refused" : "failed" });
  reply.code(status).headers({ ...problem.headers, ...problemHeaders(request.id) });
  return reply.send(problemText(problem, request.id, status));
}
