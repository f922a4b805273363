import * as z from "zod";

/** An error, `application/problem+json` (RFC 9457). Other members depend on the code. */
export const problemSchema = z.looseObject({
  type: z.string().optional(),
  title: z.string().optional(),
  status: z.int().optional(),
  code: z.string(),
  detail: z.string(),
  requestId: z.string().optional(),
  /** With `invalid_request`: the invalid fields. */
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  /** With `quote_used`: the purchase that the quote was sold to; with `subscription_not_purchasable`: the renewal to pay. */
  purchaseId: z.string().optional(),
  /** With `no_license_available`: how many licenses the request takes, and how many of them are missing. */
  needed: z.int().positive().optional(),
  missing: z.int().positive().optional(),
  /** With `no_license_available`: the subscription's version when they were missing; a backend may leave it out. */
  subscriptionVersion: z.int().optional(),
  /** With `payment_declined`: the whole purchase. */
  purchase: z.unknown().optional(),
});

/** An error, parsed. */
export type Problem = z.infer<typeof problemSchema>;

/** The errors of SecureFlag's public calls, which come with any HTTP status. */
export const secureFlagErrorSchema = z.union([
  z.object({ error: z.literal(true), errorMsg: z.string().nullish() }),
  z.object({ result: z.literal("error"), errorMsg: z.string().nullish() }),
]);
