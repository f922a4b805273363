import { z } from "zod";

/** Every error code of the contract with its HTTP status (contract.md; details.md, 11, 13, 17, 19 and 33). */
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

/** An error answer, `application/problem+json` (RFC 9457). Members beside these depend on the code. */
export const problemSchema = z.looseObject({
  type: z.string().optional(),
  title: z.string().optional(),
  status: z.int().optional(),
  code: z.string(),
  detail: z.string(),
  requestId: z.string().optional(),
  /** With `invalid_request`: what is wrong, field by field. */
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  /** With `quote_used`: the purchase that the quote was sold to; with `subscription_not_purchasable`: the renewal to pay. */
  purchaseId: z.string().optional(),
  /** With `no_license_available`: how many licenses this request takes, and how many of them are missing. */
  needed: z.int().positive().optional(),
  missing: z.int().positive().optional(),
  /** With `payment_declined`: the whole purchase. */
  purchase: z.unknown().optional(),
});

/** An error answer as it travels. */
export type Problem = z.infer<typeof problemSchema>;

/** The media type of every error. */
export const PROBLEM_MEDIA_TYPE = "application/problem+json";

/** SecureFlag's own error shape, which its public calls answer with any HTTP status (product.md). */
export const secureFlagErrorSchema = z.object({
  error: z.literal(true),
  errorMsg: z.string(),
});
