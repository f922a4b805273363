import Stripe from "stripe";
import { GatewayRefusal, GatewayUnavailable } from "../gateway.ts";

/** Statuses with which Stripe refuses a request and does nothing (Stripe's documentation, Error handling). */
const REFUSED: ReadonlySet<number | undefined> = new Set([400, 402, 404]);

/** Whether Stripe answered that an object does not exist. */
function isMissing(error: unknown): boolean {
  return error instanceof Stripe.errors.StripeError && error.code === "resource_missing";
}

/**
 * Translates the error of a call to Stripe. Only the status counts: a lock timeout, for instance, is a 429 with the
 * type of an invalid request.
 */
export function gatewayErrorOf(error: unknown): unknown {
  if (!(error instanceof Stripe.errors.StripeError)) return error;
  const { statusCode, headers, message } = error;
  const isConflict = error instanceof Stripe.errors.StripeIdempotencyError;
  const isRate = error instanceof Stripe.errors.StripeRateLimitError;
  if (REFUSED.has(statusCode) && !isRate) return new GatewayRefusal(message, { isConflict, cause: error });
  const isReplayed = (statusCode ?? 0) >= 500 && headers?.["idempotent-replayed"] === "true";
  return new GatewayUnavailable(message, { isReplayed, cause: error });
}

/**
 * Reads something from Stripe.
 *
 * @returns `null` if it does not exist
 * @throws GatewayUnavailable, GatewayRefusal
 */
export async function ask<Result>(call: () => Promise<Result>): Promise<Result | null> {
  try {
    return await call();
  } catch (error) {
    if (isMissing(error)) return null;
    throw gatewayErrorOf(error);
  }
}

/**
 * Calls Stripe.
 *
 * @throws GatewayUnavailable, GatewayRefusal
 */
export async function call<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw gatewayErrorOf(error);
  }
}
