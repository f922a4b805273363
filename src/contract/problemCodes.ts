/** Every error code of the contract with its HTTP status (src/contract/README.md, Problem codes). */
export const PROBLEM_STATUS = {
  invalid_request: 400,
  idempotency_key_missing: 400,
  unauthenticated: 401,
  mfa_invalid: 401,
  mfa_required: 401,
  payment_declined: 402,
  forbidden: 403,
  insufficient_scope: 403,
  spend_limit_exceeded: 403,
  not_found: 404,
  idempotency_key_unknown: 404,
  font_missing: 406,
  quote_expired: 409,
  quote_used: 409,
  subscription_changed: 409,
  subscription_not_purchasable: 409,
  license_limit: 409,
  below_minimum_charge: 409,
  no_license_available: 409,
  not_payable: 409,
  not_cancelable: 409,
  idempotency_key_void: 409,
  idempotency_key_in_use: 409,
  clock_moves_forward_only: 409,
  idempotency_key_reused: 422,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
} as const;

/** A stable error code. */
export type ProblemCode = keyof typeof PROBLEM_STATUS;

/** The media type of errors (RFC 9457). */
export const PROBLEM_MEDIA_TYPE = "application/problem+json";
