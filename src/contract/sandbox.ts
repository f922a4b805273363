import { z } from "zod";
import { dateSchema, instantSchema } from "./basics.ts";

/** `GET /sandbox`: the clock, and the provider's own record of what it captured (contract.md). */
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
});

/** `POST /sandbox/clock`: to a date or an instant, by days, or to an organization's renewal date. Never back. */
export const clockRequestSchema = z.union([
  z.strictObject({ to: z.union([dateSchema, instantSchema]) }),
  z.strictObject({ days: z.int().min(1).max(100_000) }),
  z.strictObject({ toRenewalOf: z.int() }),
]);

/** Where the clock is now, and the renewals that fell due on the way (details.md, 19). */
export const clockAnswerSchema = z.object({ now: instantSchema, renewals: z.array(z.unknown()) });
