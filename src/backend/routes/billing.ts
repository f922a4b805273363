import type { FastifyInstance } from "fastify";
import type { Quote } from "../../contract/billing.ts";
import type { BackendDeps } from "../deps.ts";
import { register } from "../http/register.ts";
import { listEvents } from "../store/records.ts";
import { readPending, readQuote, readSubscription } from "../store/subscriptions.ts";
import { pictureAt, subscriptionView } from "../subscriptions/picture.ts";
import { makeQuote } from "../subscriptions/quoting.ts";
import { pageLimit } from "./pages.ts";

/** The subscription, quotes and the audit log. */
export function registerBilling(app: FastifyInstance, deps: BackendDeps): void {
  register(app, deps, "getSubscription", async ({ organization }) => {
    const now = deps.clock.now();
    const picture = pictureAt(await readSubscription(deps.database, organization.id), now);
    const pending = await readPending(deps.database, organization.id);
    return { status: 200, body: subscriptionView(picture, pending, deps.gateway, now) };
  });

  register(app, deps, "createQuote", async ({ organization, body }) => ({
    status: 201,
    body: await makeQuote(deps, organization.id, body.licenses),
  }));

  register(app, deps, "getQuote", async ({ organization, params }) => {
    const row = await readQuote(deps.database, organization.id, params.quoteId);
    return { status: 200, body: JSON.parse(row.quote_json) as Quote };
  });

  register(app, deps, "listEvents", async ({ organization, query }) => {
    const limit = pageLimit(query.limit);
    const rows = await listEvents(deps.database, organization.id, {
      after: Number(query.after ?? 0),
      limit: limit + 1,
    });
    const items = rows.slice(0, limit).map((row) => ({
      id: String(row.id),
      at: new Date(row.at).toISOString(),
      type: row.type,
      actor: row.actor,
      purchaseId: row.purchase_id,
      data: JSON.parse(row.data_json) as Record<string, unknown>,
    }));
    return { status: 200, body: { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null } };
  });
}
