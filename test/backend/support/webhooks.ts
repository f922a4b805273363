import { randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";
import Stripe from "stripe";
import { buildApp } from "../../../src/backend/app.ts";
import type { BackendDeps } from "../../../src/backend/deps.ts";
import { passwords } from "../../../src/backend/identity/secrets.ts";
import { createMetrics, type Metrics } from "../../../src/backend/service/metrics.ts";
import { registerWebhooks } from "../../../src/backend/service/webhooks.ts";

/** The secrets of a webhook: the newer one, and the one that it replaces. */
export const SECRETS = ["whsec_new", "whsec_old"] as const;

/** An event of Stripe, as the tests vary it. */
export interface TestEvent {
  readonly id?: string;
  readonly type: string;
  readonly object: Readonly<Record<string, unknown>>;
  readonly previous?: Readonly<Record<string, unknown>>;
  readonly livemode?: boolean;
}

/** How an event is sent. */
export interface Delivery {
  readonly secret?: string;
  /** When it was signed, seconds after the clock. */
  readonly seconds?: number;
  readonly body?: string;
  readonly header?: string | null;
}

/** Builds the app of an instance with a webhook. */
export function webhookApp(deps: BackendDeps, metrics: Metrics = createMetrics()): FastifyInstance {
  return buildApp(deps, {
    signIn: { passwords: passwords(randomBytes), passwordHashOf: async () => null },
    extend: (app) => registerWebhooks(app, { ...deps, metrics, secrets: SECRETS }),
  });
}

/** The body of an event. */
function bodyOf({ id, type, object, previous, livemode = false }: TestEvent, now: number): string {
  return JSON.stringify({
    id: id ?? `evt_${randomBytes(8).toString("hex")}`,
    object: "event",
    type,
    created: Math.floor(now / 1_000) - 2,
    livemode,
    data: { object, ...(previous && { previous_attributes: previous }) },
  });
}

/** Sends an event as Stripe does. Returns the status. */
export async function deliver(
  { app, now }: { app: FastifyInstance; now: () => number },
  event: TestEvent,
  { secret = SECRETS[0], seconds = 0, body, header }: Delivery = {},
): Promise<number> {
  const payload = bodyOf(event, now());
  const timestamp = Math.floor(now() / 1_000) + seconds;
  const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });
  const { statusCode } = await app.inject({
    method: "POST",
    url: "/webhooks/stripe",
    headers: {
      "content-type": "application/json; charset=utf-8",
      ...(header !== null && { "stripe-signature": header ?? signature }),
    },
    payload: body ?? payload,
  });
  return statusCode;
}
