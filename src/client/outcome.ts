import type { Operation } from "../contract/operations.ts";
import { ClientError, type ClientErrorCode } from "./errors.ts";
import { concernsKey, type Failure } from "./failure.ts";

/**
 * Refusals that settle a key even where an earlier try may still be on its way: that try would be refused as well,
 * because a quote never becomes valid again and a spent key stays spent.
 */
const SETTLING: ReadonlySet<string> = new Set([
  "quote_expired",
  "quote_used",
  "subscription_changed",
  "idempotency_key_void",
  "idempotency_key_reused",
]);

/** Whether any try may have done its work without telling: its answer was lost, or said nothing for certain. */
export function isAnyLost(failures: readonly Failure[]): boolean {
  return failures.some((failure) => failure.sent && !failure.refused);
}

/**
 * The error that a call ends with. Where the call concerns an Idempotency-Key, only a well-formed refusal says what
 * became of it, and only if no earlier try was lost on the way; anything else leaves the outcome unknown
 * (details.md, 4 and 5).
 *
 * @param failures every failed try in order
 * @param error why there is no further try: the last failure's, or a token that could not be had for it
 */
export function outcomeOf(operation: Operation, failures: readonly Failure[], error: unknown): unknown {
  if (!concernsKey(operation) || !isAnyLost(failures)) return error;
  const last = failures.at(-1);
  const refused = last?.refused && last.error === error;
  if (refused && (!operation.idempotent || SETTLING.has(last.error.code))) return error;
  const from = error instanceof ClientError ? error : null;
  return new ClientError("outcome_unknown", outcomeMessage(operation, error), {
    hint: from?.code === "billing_not_offered" ? from.hint : RUN_AGAIN_HINT,
    status: from?.status,
    requestId: from?.requestId,
    problem: from?.problem,
    retryAfterMs: from?.retryAfterMs,
    cause: error,
  });
}

const RUN_AGAIN_HINT = "Run the same command again: it asks what became of the purchase and never buys it twice.";

function outcomeMessage(operation: Operation, cause: unknown): string {
  const subject = operation.idempotent ? "The purchase was sent, but what became of it" : "What became of the purchase";
  return `${subject} is not known yet. ${cause instanceof Error ? cause.message : ""}`.trim();
}

/** What a request ends with whose answer never came, or does not say what was done. */
const OPEN: ReadonlySet<ClientErrorCode> = new Set(["unreachable", "unexpected_answer", "unavailable", "internal"]);

/** Whether a failed try leaves open whether it did its work. */
export function leavesOpen({ sent, error }: Failure): boolean {
  return sent && OPEN.has(error.code);
}

/** The error of a call that may have done its work. `hint`: how a person finds out. */
export function untold(error: ClientError, hint: string): ClientError {
  const message = `The request was sent, but what became of it is not known. ${error.message}`;
  const { status, requestId, problem, retryAfterMs } = error;
  return new ClientError("outcome_unknown", message, { hint, status, requestId, problem, retryAfterMs, cause: error });
}
