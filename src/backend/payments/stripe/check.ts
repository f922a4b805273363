import Stripe from "stripe";
import { sellerOf } from "./account.ts";
import { gatewayErrorOf } from "./errors.ts";

/** What a Stripe account is checked against. */
interface CheckOptions {
  readonly mode: "live" | "test";
  /** The seller's name that was set; `null` to use the account's. */
  readonly seller: string | null;
  /** Where Stripe must send its events. */
  readonly webhookUrl: string;
}

/** What a check of a Stripe account found, one sentence each. */
export interface StripeReport {
  /** The name on the payment page; `null` if the account's is not known. */
  readonly seller: string | null;
  /** The version of the API that this program uses. */
  readonly apiVersion: string;
  /** Why nothing can be sold. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Checks that a key works and has the permissions it needs, and that a webhook endpoint is set up. Nothing is changed:
 * permissions are tried on objects that do not exist.
 *
 * @throws GatewayUnavailable if Stripe does not answer
 */
export async function checkStripe(stripe: Stripe, options: CheckOptions): Promise<StripeReport> {
  try {
    return await check(stripe, options);
  } catch (error) {
    throw gatewayErrorOf(error);
  }
}

async function check(stripe: Stripe, { mode, seller, webhookUrl }: CheckOptions): Promise<StripeReport> {
  const apiVersion = Stripe.API_VERSION;
  const lacking = await lackingPermissions(stripe);
  if (lacking === null) return { seller, apiVersion, problems: [KEY_REFUSED], warnings: [] };
  const account = await permitted(() => stripe.accounts.retrieveCurrent());
  const balance = await permitted(() => stripe.balance.retrieve());
  const isOther = balance !== null && balance.livemode !== (mode === "live");
  const isClosed = account?.charges_enabled === false && mode === "live";
  const name = seller ?? (account && sellerOf(account));
  return {
    seller: name,
    apiVersion,
    problems: [
      ...(lacking.length > 0 ? [`SECUREFLAG_STRIPE_KEY lacks permissions: ${lacking.join(", ")}`] : []),
      ...(isOther ? [`SECUREFLAG_STRIPE_KEY is a ${mode} key, but Stripe answers in the other mode`] : []),
      ...(isClosed ? ["The Stripe account cannot take payments yet: complete its setup in the Dashboard"] : []),
    ],
    warnings: [
      ...(name === null ? [NAMELESS] : []),
      ...(balance === null ? [MODE_UNCHECKED] : []),
      ...webhookWarnings(await permitted(() => stripe.webhookEndpoints.list({ limit: 100 })), webhookUrl),
    ],
  };
}

const KEY_REFUSED = "Stripe rejects SECUREFLAG_STRIPE_KEY: it is invalid, expired or revoked";

const NAMELESS =
  "The Stripe account has no name, or the key cannot read it, so the payment page shows the host of --public-url as the seller. Pass --seller <name>.";

const MODE_UNCHECKED =
  "The key cannot read the balance, so the mode in which Stripe answers was not checked. It needs Balance (read).";

/** Makes a call that the key may not be allowed to make, or that a stand-in for Stripe may lack; `null` if so. */
async function permitted<Result>(call: () => Promise<Result>): Promise<Result | null> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Stripe.errors.StripeError && UNANSWERED.has(error.statusCode)) return null;
    throw error;
  }
}

const UNANSWERED: ReadonlySet<number | undefined> = new Set([403, 404]);

/** The permissions that the service needs, as the Dashboard names them, each with a call on a missing object. */
const PERMISSIONS: readonly (readonly [name: string, attempt: (stripe: Stripe) => Promise<unknown>])[] = [
  ["Customers (write)", (stripe) => stripe.customers.update("cus_serve_check", {})],
  ["PaymentMethods (read)", (stripe) => stripe.paymentMethods.retrieve("pm_serve_check")],
  ["PaymentIntents (write)", (stripe) => stripe.paymentIntents.cancel("pi_serve_check")],
  ["Charges and Refunds (write)", (stripe) => stripe.refunds.create({ payment_intent: "pi_serve_check" })],
  ["Checkout Sessions (write)", (stripe) => stripe.checkout.sessions.expire("cs_test_serve_check")],
  ["SetupIntents (read)", (stripe) => stripe.setupIntents.retrieve("seti_serve_check")],
  ["Disputes (read)", (stripe) => stripe.disputes.retrieve("dp_serve_check")],
  [
    "Subscriptions (write)",
    (stripe) => stripe.subscriptionItems.update("si_serve_check", { quantity: 1, proration_behavior: "none" }),
  ],
  ["Invoices (read)", (stripe) => stripe.invoices.retrieve("in_serve_check")],
];

/** The permissions that the key lacks; `null` if Stripe rejects the key. */
async function lackingPermissions(stripe: Stripe): Promise<string[] | null> {
  const tried = await Promise.all(
    PERMISSIONS.map(async ([name, attempt]) => {
      const status = await statusOf(() => attempt(stripe));
      return { name, status };
    }),
  );
  if (tried.some(({ status }) => status === 401)) return null;
  return tried.filter(({ status }) => status === 403).map(({ name }) => name);
}

/**
 * Returns the status of a refusal; 200 if the call succeeded.
 *
 * @throws the error if Stripe did not answer or failed
 */
async function statusOf(attempt: () => Promise<unknown>): Promise<number> {
  try {
    await attempt();
    return 200;
  } catch (error) {
    const status = error instanceof Stripe.errors.StripeError ? (error.statusCode ?? 0) : 0;
    if (status < 400 || status >= 500 || status === 429) throw error;
    return status;
  }
}

/** The types of events that make something due at once. Without them, changes are found on a schedule. */
const EVENTS: readonly Stripe.WebhookEndpointCreateParams.EnabledEvent[] = [
  "payment_intent.succeeded",
  "payment_intent.payment_failed",
  "payment_intent.processing",
  "payment_intent.canceled",
  "checkout.session.completed",
  "checkout.session.expired",
  "refund.created",
  "refund.updated",
  "refund.failed",
  "charge.refunded",
  "charge.dispute.created",
  "charge.dispute.updated",
  "charge.dispute.closed",
  "payment_method.updated",
  "payment_method.automatically_updated",
  "payment_method.detached",
  "customer.deleted",
  "invoice.paid",
  "invoice.payment_failed",
  "customer.subscription.updated",
  "customer.subscription.deleted",
];

function webhookWarnings(endpoints: Stripe.ApiList<Stripe.WebhookEndpoint> | null, url: string): string[] {
  if (endpoints === null) {
    return [
      `The key cannot list webhook endpoints, so ${url} was not checked. Grant the key Webhook Endpoints (read).`,
    ];
  }
  const [endpoint] = endpoints.data
    .filter((each) => each.url === url)
    .toSorted((one, other) => Number(other.status === "enabled") - Number(one.status === "enabled"));
  if (endpoint === undefined) {
    return [
      `Stripe has no webhook endpoint ${url}. Add it in the Dashboard: without webhooks, changes are noticed late.`,
    ];
  }
  const { status, enabled_events: enabled, api_version: version } = endpoint;
  const missing = enabled.includes("*") ? [] : EVENTS.filter((type) => !enabled.includes(type));
  const other = version !== null && version !== Stripe.API_VERSION;
  return [
    ...(status === "enabled" ? [] : [`The webhook endpoint ${url} is ${status}. Enable it in the Dashboard.`]),
    ...(missing.length > 0 ? [`The webhook endpoint ${url} does not receive ${missing.join(", ")}.`] : []),
    ...(other ? [`The webhook endpoint ${url} uses API version ${version}, not ${Stripe.API_VERSION}.`] : []),
  ];
}
