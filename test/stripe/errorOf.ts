import Stripe from "stripe";

/**
 * Waits for the error of a call that fails.
 *
 * @throws TypeError if it does not fail, or not with an answer of Stripe
 */
export async function errorOf(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof Stripe.errors.StripeError) return error;
  throw new TypeError(`Not an error of Stripe: ${error}`);
}
