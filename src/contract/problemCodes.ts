/**
 * What an error says of the request it answers:
 *
 * - `refused`: this try changed nothing; an earlier one whose answer was lost may still be carried out
 * - `settles key`: nor will any other try with the same Idempotency-Key be, because it would be refused as well
 * - `open`: the change may have been made
 */
export type Effect = "refused" | "settles key" | "open";

function problem<Status extends number>(status: Status, effect: Effect) {
  return { status, effect };
}

/** Every error code of the contract with its HTTP status and effect (src/contract/README.md, Problem codes). */
export const PROBLEMS = {
  invalid_request: problem(400, "refused"),
  idempotency_key_missing: problem(400, "refused"),
  unauthenticated: problem(401, "refused"),
  mfa_invalid: problem(401, "refused"),
  mfa_required: problem(401, "refused"),
  payment_declined: problem(402, "refused"),
  forbidden: problem(403, "refused"),
  insufficient_scope: problem(403, "refused"),
  spend_limit_exceeded: problem(403, "refused"),
  budget_exceeded: problem(403, "refused"),
  mfa_not_enrolled: problem(403, "refused"),
  not_found: problem(404, "refused"),
  idempotency_key_unknown: problem(404, "refused"),
  font_missing: problem(406, "refused"),
  users_changed: problem(409, "refused"),
  quote_expired: problem(409, "settles key"),
  quote_used: problem(409, "settles key"),
  subscription_changed: problem(409, "settles key"),
  subscription_not_purchasable: problem(409, "refused"),
  license_limit: problem(409, "refused"),
  below_minimum_charge: problem(409, "refused"),
  no_license_available: problem(409, "refused"),
  not_payable: problem(409, "refused"),
  not_cancelable: problem(409, "refused"),
  not_approvable: problem(409, "refused"),
  needs_two_administrators: problem(409, "refused"),
  idempotency_key_void: problem(409, "settles key"),
  idempotency_key_in_use: problem(409, "refused"),
  clock_moves_forward_only: problem(409, "refused"),
  idempotency_key_reused: problem(422, "settles key"),
  rate_limited: problem(429, "refused"),
  internal: problem(500, "open"),
  unavailable: problem(503, "open"),
};

/** A stable error code. */
export type ProblemCode = keyof typeof PROBLEMS;

/** The media type of errors (RFC 9457). */
export const PROBLEM_MEDIA_TYPE = "application/problem+json";
