import type { Operation } from "../contract/operations/operation.ts";
import { ClientError, effectOf } from "./errors.ts";
import { concernsKey, type Failure } from "./failure.ts";

/** Whether any try may have done its work: its answer was lost or not conclusive. */
export function isAnyLost(failures: readonly Failure[]): boolean {
  return failures.some((failure) => failure.sent && !failure.refused);
}

/**
 * The error that a call ends with. Where the call concerns an Idempotency-Key, only a well-formed refusal says what
 * became of it, and only if no earlier try was lost on the way; anything else leaves the outcome unknown.
 *
 * @param failures every failed try in order
 * @param error why there is no further try: the last failure's, or a token that could not be renewed for it
 */
export function outcomeOf(operation: Operation, failures: readonly Failure[], error: unknown): unknown {
  if (!concernsKey(operation) || !isAnyLost(failures)) return error;
  const last = failures.at(-1);
  const refused = last?.refused && last.error === error;
  if (refused && (!operation.idempotent || effectOf(last.error.code) === "settles key")) return error;
  const isNotOffered = error instanceof ClientError && error.code === "billing_not_offered";
  return unknown(outcomeMessage(operation), error, isNotOffered ? error.hint : ASK_AGAIN_HINT);
}

/** The next step where it is not known what became of a purchase. */
export const ASK_AGAIN_HINT = "Running the same command again is safe: it never buys twice.";

function outcomeMessage(operation: Operation): string {
  const subject = operation.idempotent ? "The purchase was sent, but what became of it" : "What became of the purchase";
  return `${subject} is not known yet.`;
}

/**
 * Whether a change without a key may have been made: a try left that open, and the call did not end with a well-formed
 * refusal.
 *
 * @param failures every failed try in order
 * @param error what the call ends with
 */
export function isOutcomeOpen(failures: readonly Failure[], error: unknown): boolean {
  const last = failures.at(-1);
  const isRefused = last?.refused && last.error === error;
  return !isRefused && failures.some((failure) => failure.sent && effectOf(failure.error.code) === "open");
}

/** The error of a call that may have done its work. `hint`: how a person finds out. */
export function outcomeUnknown(cause: unknown, hint: string): ClientError {
  return unknown("The request was sent, but what became of it is not known.", cause, hint);
}

function unknown(message: string, cause: unknown, hint: string | undefined): ClientError {
  const from = cause instanceof ClientError ? cause : null;
  return new ClientError("outcome_unknown", `${message} ${cause instanceof Error ? cause.message : ""}`.trim(), {
    hint,
    status: from?.status,
    requestId: from?.requestId,
    problem: from?.problem,
    retryAfterMs: from?.retryAfterMs,
    cause,
  });
}
