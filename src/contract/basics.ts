import * as z from "zod";
import { isCalendarDate } from "../billing/calendarDate.ts";
import { MODES } from "./mode.ts";

/** Money: an integer in the currency's minor unit, never negative, with its ISO 4217 code. */
export const moneySchema = z.object({ amount: z.int().nonnegative(), currency: z.string().regex(/^[A-Z]{3}$/) });

/** Whether the net amount and its tax add up to the total, in one currency. */
export function addsUp({
  dueNow,
  tax,
  total,
}: Record<"dueNow" | "tax" | "total", z.infer<typeof moneySchema>>): boolean {
  const isOneCurrency = dueNow.currency === total.currency && tax.currency === total.currency;
  return isOneCurrency && dueNow.amount + tax.amount === total.amount;
}

/** An existing calendar date, `YYYY-MM-DD`. */
export const dateSchema = z
  .string()
  .refine(isCalendarDate, "is not a calendar date such as 2026-03-01")
  .meta({ format: "date" });

/** An instant, RFC 3339 in UTC. */
export const instantSchema = z.iso.datetime();

/** A percentage as an exact decimal, `"20"` or `"8.875"`. */
export const taxRateSchema = z.string().regex(/^\d{1,3}(\.\d{1,9})?$/, 'is not a percentage such as "20" or "8.875"');

/** License counts: purchased, taken by users, and the difference. */
export const licenseCountsSchema = z.object({
  purchased: z.int().nonnegative(),
  used: z.int().nonnegative(),
  available: z.int(),
});

/** License counts, parsed. */
export type LicenseCounts = z.infer<typeof licenseCountsSchema>;

/** A term `[start, renewalDate)` with its length and the days left, including today. */
export const termSchema = z.object({
  start: dateSchema,
  renewalDate: dateSchema,
  days: z.int().positive(),
  daysRemaining: z.int().nonnegative(),
});

/** Whether payments move money; older backends leave the fields out, see `modeOf`. */
export const modeShape = {
  livemode: z.boolean().optional().describe("Whether payments move money; true if left out"),
  mode: z.enum(MODES).optional().describe("`live`, the provider's test mode, or a sandbox; `live` if left out"),
};

/** How an organization pays. */
export const paymentMethodSchema = z.object({ type: z.string(), label: z.string() });

/** A payment method, parsed. */
export type PaymentMethod = z.infer<typeof paymentMethodSchema>;

/** An organization by number and name. */
export const organizationRefSchema = z.object({ id: z.int(), name: z.string() });

/** A page of a list. `next` is the cursor of the next page, `null` on the last one. */
export function pageSchema<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), next: z.string().nullable() });
}

/** Free text. PostgreSQL cannot store NUL. */
export function freeTextSchema(maxLength: number) {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .regex(/^[^\0]*$/, "contains a NUL character");
}

/** An identifier that the backend assigned. */
export const idSchema = z.string().regex(/^[\x21-\x7e]{1,100}$/);

/** The cursor of a list: the `next` of an earlier page. */
export const cursorSchema = z.string().regex(/^\d{1,9}$/);

/** A whole number in a path or a query. */
export const integerTextSchema = z
  .string()
  .regex(/^(0|[1-9]\d{0,9})$/)
  .transform(Number);
