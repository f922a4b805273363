import type { z } from "zod";
import type { eventSchema } from "../../contract/billing.ts";
import type { Identity } from "../auth/access.ts";
import { PAYMENT_PAGE } from "../store/records.ts";
import type { EventRow } from "../store/schema.ts";
import { BACKEND } from "../store/settlement.ts";

const NO_PERSONS: readonly string[] = [BACKEND, PAYMENT_PAGE];

/** What events about users and API tokens say to a reader who may not list those: no person, no scope, no limit. */
const FOR_EVERYBODY = { user: ["role", "adminNoTraining"], token: ["tokenId", "name"] } as const;

/**
 * An entry of the audit log with what its reader may see elsewhere, too: people and their emails with the scope
 * `users:read`, what API tokens may do as a signed-in person. Everything else is billing.
 */
export function eventView(row: EventRow, reader: Pick<Identity, "scopes" | "token">): z.infer<typeof eventSchema> {
  const seesPeople = reader.scopes.includes("users:read");
  const data = JSON.parse(row.data_json) as Record<string, unknown>;
  const [about] = row.type.split(".");
  const isReduced = (about === "user" && !seesPeople) || (about === "token" && reader.token !== null);
  return {
    id: String(row.id),
    at: new Date(row.at).toISOString(),
    type: row.type,
    actor: seesPeople ? row.actor : impersonal(row.actor),
    purchaseId: row.purchase_id,
    data: isReduced ? picked(data, FOR_EVERYBODY[about]) : data,
  };
}

function picked(data: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data).filter(([name]) => names.includes(name)));
}

/** Any actor but the backend, the payment page and an API token is the email of a person. */
function impersonal(actor: string): string {
  return NO_PERSONS.includes(actor) || actor.startsWith("token ") ? actor : "user";
}
