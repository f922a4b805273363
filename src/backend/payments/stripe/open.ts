import type { PaymentGateway } from "../gateway.ts";
import { stripeAccount } from "./account.ts";
import { checkStripe, type StripeReport } from "./check.ts";
import { openStripe, type StripeOptions } from "./client.ts";
import { stripeGateway } from "./stripeGateway.ts";

/** How to be paid through Stripe. */
interface OpenOptions extends StripeOptions {
  readonly mode: "live" | "test";
  /** The name on the payment page; `null` for the account's, with `fallback` until that is known. */
  readonly seller: string | null;
  readonly fallback: string;
  /** Minimum charges of currencies for which Stripe documents none, minor units. */
  readonly minimumCharges: Readonly<Record<string, number>>;
  /** The machine's clock, milliseconds. */
  now(): number;
}

/** Opens Stripe as the payment provider. Requests nothing but the account's name, in the background. */
export function openStripeGateway(options: OpenOptions): PaymentGateway {
  const stripe = openStripe(options);
  const account = stripeAccount(stripe, options, options.monotonic);
  return stripeGateway(stripe, { account, minimums: options.minimumCharges, now: options.now });
}

/**
 * Checks the Stripe account of a service (see `checkStripe`).
 *
 * @throws GatewayUnavailable if Stripe does not answer
 */
export function checkStripeAccount(options: StripeOptions & Parameters<typeof checkStripe>[1]): Promise<StripeReport> {
  return checkStripe(openStripe(options), options);
}
