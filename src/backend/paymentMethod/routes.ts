import type { FastifyInstance } from "fastify";
import type { StoredPaymentMethod } from "../../contract/billing.ts";
import { modeFields } from "../../contract/mode.ts";
import type { OrganizationSubscription } from "../database/schema.ts";
import { type Identity, type RouteDeps, register } from "../http/register.ts";
import { methodPageAddress } from "./address.ts";

/** Registers the call about the stored payment method. The page changes it. */
export function registerPaymentMethod(app: FastifyInstance, deps: RouteDeps): void {
  register(app, deps, "getPaymentMethod", async ({ organization, identity, request }) => ({
    status: 200,
    body: methodView(deps, organization.subscription, identity, request.host),
  }));
}

function methodView(
  deps: RouteDeps,
  { organization_id, payment_method: method, payment_method_label, payment_method_expires }: OrganizationSubscription,
  { scopes }: Identity,
  host: string,
): StoredPaymentMethod {
  const page = scopes.includes("billing:purchase") ? methodPageAddress(deps, organization_id, host) : null;
  return {
    paymentMethod: method === null ? null : deps.gateway.describe(method, payment_method_label),
    expires: payment_method_expires,
    url: page?.url ?? null,
    urlExpiresAt: page && new Date(page.expiresAt).toISOString(),
    ...modeFields(deps.gateway.account.mode),
  };
}
