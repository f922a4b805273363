import Stripe from "stripe";
import type { PaymentGateway } from "../gateway.ts";

/** How long to wait before the name of the account is read again after a failure, milliseconds. */
const RETRY_MS = 60_000;

/** The name of an account that customers know; `null` for one without a name. */
export function sellerOf({ business_profile, settings }: Stripe.Account): string | null {
  return business_profile?.name || settings?.dashboard.display_name || null;
}

/** What is known of an account without asking Stripe. */
interface KnownAccount {
  /** The mode of its key. */
  readonly mode: "live" | "test";
  /** The name that was set; `null` to read the account's. */
  readonly seller: string | null;
  /** What stands for the name until it was read, or if the account has none. */
  readonly fallback: string;
}

/**
 * Returns the account for a gateway. Its name is read at once and nobody waits for it, so that a service starts while Stripe
 * is unreachable. After a failure it is read again when it is asked for.
 *
 * @param monotonic a clock that never goes back, milliseconds
 */
export function stripeAccount(
  stripe: Stripe,
  { mode, seller, fallback }: KnownAccount,
  monotonic: () => number,
): PaymentGateway["account"] {
  let name = seller;
  let askAt = Number.NEGATIVE_INFINITY;
  const ask = async () => {
    askAt = monotonic() + RETRY_MS;
    try {
      name = sellerOf(await stripe.accounts.retrieveCurrent()) ?? fallback;
    } catch (error) {
      // Restricted keys may never read it. Any other failure is in the log, and the call is made again.
      if (error instanceof Stripe.errors.StripePermissionError) name = fallback;
    }
  };
  if (name === null) void ask();
  return {
    mode,
    get seller() {
      if (name === null && monotonic() >= askAt) void ask();
      return name ?? fallback;
    },
  };
}
