import * as z from "zod";
import { dateSchema, instantSchema } from "./basics.ts";
import { purchaseSchema } from "./billing.ts";
import { MAX_CLOCK_DAYS } from "./constants.ts";

/** The answer to `GET /sandbox`: the clock, and a page of the payment provider's captures, oldest first. */
export const sandboxStateSchema = z.object({
  now: instantSchema,
  captures: z.array(
    z.object({
      paymentId: z.string(),
      purchaseId: z.string(),
      amount: z.int(),
      currency: z.string(),
      refunded: z.int(),
    }),
  ),
  /** The cursor of the next page, `null` on the last one. */
  next: z.string().nullable(),
});

/**
 * The body of `POST /sandbox/clock`: forward to a date or an instant, by days, or to an organization's renewal date. The
 * first two go at most `MAX_CLOCK_YEARS` ahead.
 */
export const clockRequestSchema = z.union([
  z.strictObject({ to: z.union([dateSchema, instantSchema]) }),
  z.strictObject({ days: z.int().min(1).max(MAX_CLOCK_DAYS) }),
  z.strictObject({ toRenewalOf: z.int() }),
]);

/**
 * The answer to `POST /sandbox/clock`: the clock, and the renewals made on the way, oldest first. If they do not all fit
 * into one answer, `renewals` has the newest and `renewalCount` is their number.
 */
export const clockAnswerSchema = z.object({
  now: instantSchema,
  renewals: z.array(purchaseSchema),
  renewalCount: z.int().optional(),
});
