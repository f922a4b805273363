import type { FastifyInstance } from "fastify";
import type { Kysely } from "kysely";
import { type BillingDetails, type BillingDetailsRequest, notVatNumber } from "../../contract/billingDetails.ts";
import { parseVatNumber } from "../../contract/vat.ts";
import type { Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { actorOf, type Change, recordEvent } from "../events/events.ts";
import { type RouteDeps, register } from "../http/register.ts";

/** Billing details as stored: without a name they have the organization's. */
type StoredDetails = Omit<BillingDetails, "name"> & { readonly name: string | null };

const NO_DETAILS: StoredDetails = { name: null, address: [], country: null, vatNumber: null, email: null };

/** Registers the calls about an organization's billing details. */
export function registerBillingDetails(app: FastifyInstance, deps: RouteDeps): void {
  register(app, deps, "getBillingDetails", async ({ organization }) => ({
    status: 200,
    body: detailsOf(await readDetails(deps.database, organization.id), organization.name),
  }));

  register(app, deps, "setBillingDetails", async ({ organization, body, identity }) => {
    const change = { actor: actorOf({ email: identity.user.email, token: identity.token }), at: deps.clock.now() };
    const details = await changeDetails(deps.database, organization.id, body, change);
    return { status: 200, body: detailsOf(JSON.stringify(details), organization.name) };
  });
}

/**
 * Returns an organization's billing details, or the buyer of a receipt.
 *
 * @param json as stored, see `billing_json`
 * @param name the organization's
 */
export function detailsOf(json: string | null, name: string): BillingDetails {
  const details = parse(json);
  return { ...details, name: details.name ?? name };
}

function parse(json: string | null): StoredDetails {
  return json === null ? NO_DETAILS : (JSON.parse(json) as StoredDetails);
}

async function readDetails(database: Kysely<Database>, organizationId: number): Promise<string | null> {
  const { billing_json } = await database
    .selectFrom("organizations")
    .select("billing_json")
    .where("id", "=", organizationId)
    .executeTakeFirstOrThrow();
  return billing_json;
}

/**
 * Changes the billing details of an organization, and records what changed in the audit log.
 *
 * @throws BackendError `invalid_request` for a VAT number that does not fit the country
 */
async function changeDetails(
  database: Kysely<Database>,
  organizationId: number,
  request: BillingDetailsRequest,
  change: Change,
): Promise<StoredDetails> {
  return inTransaction(database, async (tx) => {
    // Against another change of other fields: the organization's subscription is locked by all that is recorded.
    await tx
      .updateTable("subscriptions")
      .set((expression) => ({ event_count: expression.ref("event_count") }))
      .where("organization_id", "=", organizationId)
      .execute();
    const before = parse(await readDetails(tx, organizationId));
    const passed = Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));
    const after = withVatNumber({ ...before, ...passed });
    const changed = Object.entries(after).filter(
      ([field, value]) => JSON.stringify(value) !== JSON.stringify(before[field as keyof StoredDetails]),
    );
    if (changed.length === 0) return before;
    await tx
      .updateTable("organizations")
      .set({ billing_json: JSON.stringify(after) })
      .where("id", "=", organizationId)
      .execute();
    const data = Object.fromEntries(changed);
    await recordEvent(tx, { ...change, organizationId, type: "organization.billing_details_set", data });
    return after;
  });
}

/** The country decides which VAT numbers there are, so a change of either is checked with the other. */
function withVatNumber(details: StoredDetails): StoredDetails {
  const { vatNumber: text, country } = details;
  if (text === null) return details;
  const vatNumber = parseVatNumber(text, country);
  if (vatNumber !== null) return { ...details, vatNumber };
  const message = notVatNumber(country);
  throw new BackendError("invalid_request", `The request is not valid: vatNumber: ${message}`, {
    errors: [{ path: "vatNumber", message }],
  });
}
