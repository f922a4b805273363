import * as z from "zod";
import { dateSchema, instantSchema } from "./basics.ts";
import { purchaseSchema } from "./billing.ts";
import { MAX_CLOCK_DAYS } from "./clockLimits.ts";

/** `GET /sandbox`: the clock, and a page of the provider's own record of what it captured, oldest first. */
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
  /** The cursor of the page after this one, `null` on the last. */
  next: z.string().nullable(),
});

/**
 * `POST /sandbox/clock`: to a date or an instant, by days, both `MAX_CLOCK_YEARS` at most, or to an organization's renewal
 * date. Never back.
 */
export const clockRequestSchema = z.union([
  z.strictObject({ to: z.union([dateSchema, instantSchema]) }),
  z.strictObject({ days: z.int().min(1).max(MAX_CLOCK_DAYS) }),
  z.strictObject({ toRenewalOf: z.int() }),
]);

/**
 * Where the clock is now, and the renewals that were made on the way in their order (details.md, 19). `renewalCount`: how
 * many there were, where not all of them fit into an answer and only the newest are there.
 */
export const clockAnswerSchema = z.object({
  now: instantSchema,
  renewals: z.array(purchaseSchema),
  renewalCount: z.int().optional(),
});
