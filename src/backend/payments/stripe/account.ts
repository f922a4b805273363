import Stripe from "stripe";
import type { PaymentGateway } from "../gateway.ts";

/** How long to wait before the name of the account is read again after a failure, milliseconds. */
const RETRY_MS = 60_000;

/** Returns the name of an account that its customers know; `null` if it has none. */
export function sellerOf({ business_profile, settings }: Stripe.Account): string | null {
  return business_profile?.name || settings?.dashboard.display_name || null;
}

/** What is known of an account without asking Stripe. */
interface KnownAccount {
  /** The mode of its key. */
  readonly mode: "live" | "test";
  /** The name that was set; `null` to read the account's. */
  readonly seller: string | null;
  /** Shown until the name has been read, or if the account has none. */
  readonly fallback: string;
}

/**
 * Returns the account for a gateway. Its name is read in the background, so that a service starts while Stripe is
 * unreachable. After a failure, a later access reads it again.
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
      // A restricted key may not be allowed to read it. Any other failure is logged, and the call is repeated.
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
