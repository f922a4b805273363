import type { FastifyInstance } from "fastify";
import type { Quote } from "../../contract/billing.ts";
import type { Identity } from "../auth/access.ts";
import type { BackendDeps } from "../deps.ts";
import { type Answer, register } from "../http/register.ts";
import { readRenewed } from "../renewals/renew.ts";
import { actorOf } from "../store/acceptance.ts";
import { listEvents } from "../store/records.ts";
import { cancelReduction, scheduleReduction } from "../store/reductions.ts";
import { readPending, readQuote, readSubscription } from "../store/subscriptions.ts";
import { eventView } from "../subscriptions/eventView.ts";
import { pictureAt, subscriptionView } from "../subscriptions/picture.ts";
import { makeQuote } from "../subscriptions/quoting.ts";
import { pageLimit } from "./pages.ts";

/** The subscription, what is scheduled for it, quotes and the audit log. */
export function registerBilling(app: FastifyInstance, deps: BackendDeps): void {
  register(app, deps, "getSubscription", async ({ organization }) => subscriptionAnswer(deps, organization.id));

  register(app, deps, "reduceLicenses", async ({ organization, body, identity }) => {
    const { licenses, subscriptionVersion: version = null } = body;
    const change = changeBy(deps, identity);
    await readRenewed(deps, organization.id, change.now);
    await scheduleReduction(deps.database, organization.id, { licenses, version }, change);
    return subscriptionAnswer(deps, organization.id);
  });

  register(app, deps, "cancelReduction", async ({ organization, identity }) => {
    const change = changeBy(deps, identity);
    await readRenewed(deps, organization.id, change.now);
    await cancelReduction(deps.database, organization.id, change);
    return subscriptionAnswer(deps, organization.id);
  });

  register(app, deps, "createQuote", async ({ organization, body }) => ({
    status: 201,
    body: await makeQuote(deps, organization.id, body.licenses),
  }));

  register(app, deps, "getQuote", async ({ organization, params }) => {
    const row = await readQuote(deps.database, organization.id, params.quoteId);
    return { status: 200, body: JSON.parse(row.quote_json) as Quote };
  });

  register(app, deps, "listEvents", async ({ organization, query, identity }) => {
    const limit = pageLimit(query.limit);
    const rows = await listEvents(deps.database, organization.id, {
      after: Number(query.after ?? 0),
      limit: limit + 1,
    });
    const items = rows.slice(0, limit).map((row) => eventView(row, identity));
    return { status: 200, body: { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null } };
  });
}

async function subscriptionAnswer(deps: BackendDeps, organizationId: number): Promise<Answer> {
  const now = deps.clock.now();
  const picture = pictureAt(await readSubscription(deps.database, organizationId), now);
  const pending = await readPending(deps.database, organizationId);
  return { status: 200, body: subscriptionView(picture, pending, deps.gateway, now) };
}

function changeBy({ clock }: BackendDeps, { user, token }: Identity) {
  return { actor: actorOf({ email: user.email, token }), now: clock.now() };
}
