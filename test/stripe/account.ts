import Stripe from "stripe";
import { newId, type World } from "./world.ts";

/** The account of a stand-in, which a test may alter. */
export const ACCOUNT = "acct_1StandIn";

/** Creates the account, unless it is there. */
export function ensureAccount({ store, now }: World): void {
  if (store.get("account", ACCOUNT) !== null) return;
  const account = {
    id: ACCOUNT,
    object: "account" as const,
    business_profile: { name: "SecureFlag", url: "https://www.secureflag.com" },
    charges_enabled: true,
    country: "GB",
    created: now(),
    default_currency: "gbp",
    details_submitted: true,
    email: null,
    payouts_enabled: true,
    settings: {
      dashboard: { display_name: "SecureFlag", timezone: "Etc/UTC" },
      payments: { statement_descriptor: "SECUREFLAG" },
    },
    type: "standard" as const,
  };
  store.put(account);
}

/** What Stripe owes to the account: nothing here. */
export function balance({ isLive }: World): object {
  const nothing = { amount: 0, currency: "gbp", source_types: { card: 0 } };
  return { object: "balance", available: [nothing], livemode: isLive, pending: [nothing] };
}

/** An endpoint of webhooks, as an administrator makes it in Stripe's Dashboard. It sends nothing by itself. */
export interface NewEndpoint {
  readonly url: string;
  /** All by default. */
  readonly events?: readonly string[];
  readonly status?: "enabled" | "disabled";
  /** The client's by default; `null` is the account's own. */
  readonly apiVersion?: string | null;
}

/** Adds an endpoint to the list of the account. */
export function addEndpoint(
  { store, now, isLive }: World,
  { url, events = ["*"], status = "enabled", apiVersion = Stripe.API_VERSION }: NewEndpoint,
): Stripe.WebhookEndpoint {
  return store.put<Stripe.WebhookEndpoint>({
    id: newId("we"),
    object: "webhook_endpoint",
    api_version: apiVersion,
    application: null,
    created: now(),
    description: null,
    enabled_events: [...events],
    livemode: isLive,
    metadata: {},
    status,
    url,
  });
}
