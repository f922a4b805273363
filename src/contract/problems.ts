import * as z from "zod";

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

/** SecureFlag's own error shapes, which its public calls answer with any HTTP status. */
export const secureFlagErrorSchema = z.union([
  z.object({ error: z.literal(true), errorMsg: z.string().nullish() }),
  z.object({ result: z.literal("error"), errorMsg: z.string().nullish() }),
]);
