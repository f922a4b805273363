import * as z from "zod";
import { isCalendarMonth } from "../billing/months.ts";
import { instantSchema, moneySchema, organizationRefSchema } from "./basics.ts";
import { REPORT_KEYS } from "./constants.ts";

/** A calendar month, `YYYY-MM`. */
export const monthSchema = z
  .string()
  .refine(isCalendarMonth, "is not a month such as 2026-03")
  .meta({ pattern: "^[1-9]\\d{3}-(0[1-9]|1[0-2])$" });

/** What a list of a report is grouped by. */
export const reportKeySchema = z.enum(REPORT_KEYS);

/** Money that may be negative. */
const signedMoneySchema = z.object({ ...moneySchema.shape, amount: z.int() });

const netSchema = signedMoneySchema.describe("`charged` minus `refunded`, negative if more was refunded");

const spendShape = {
  purchases: z.int().nonnegative().describe("Purchases that were paid, without renewals"),
  charged: moneySchema.describe("Totals of the receipts, tax and renewals included, in minor units"),
  tax: moneySchema.describe("The tax in `charged`, in minor units"),
  refunded: moneySchema.describe("Totals of the credit notes, in minor units"),
  net: netSchema,
};

const nullable = {
  purchases: spendShape.purchases.nullable(),
  charged: spendShape.charged.nullable(),
  tax: spendShape.tax.nullable(),
  refunded: spendShape.refunded.nullable(),
  net: spendShape.net.nullable(),
};

/** A month of a report. What is not known, and everything before the organization's data, is `null`. */
const reportMonthSchema = z.object({
  month: monthSchema,
  purchased: z.int().nonnegative().nullable().describe("Licenses at the end of the month, or now"),
  used: z.int().nonnegative().nullable().describe("Licenses taken by users at the end of the month, or now"),
  usersAdded: z.int().nonnegative().nullable().describe("Without the users of a seed"),
  usersRemoved: z.int().nonnegative().nullable(),
  ...nullable,
});

/** The answer to `GET …/report` (src/contract/README.md, Report). */
export const reportSchema = z.object({
  organization: organizationRefSchema,
  currency: moneySchema.shape.currency,
  from: monthSchema,
  to: monthSchema,
  months: z.array(reportMonthSchema),
  total: z.object(spendShape),
  /** Largest net first; `null` if it was not asked for. */
  by: z
    .array(
      z.object({
        key: z.string().nullable().describe("`null` for renewals, and for purchases without one"),
        purchases: spendShape.purchases,
        licenses: z.int().nonnegative().describe("Licenses that the purchases added"),
        net: netSchema,
      }),
    )
    .nullable(),
  /** How long the available licenses last; `null` if no users were added in net, or that is not known. */
  runway: z
    .object({ days: z.int().nonnegative(), usersPerDay: z.number().nonnegative(), basisDays: z.int().positive() })
    .nullable(),
  /** The available licenses, and what they add to the renewal, with tax; `null` without a renewal. */
  unused: z.object({ licenses: z.int().nonnegative(), renewalTotal: moneySchema }).nullable(),
  asOf: instantSchema,
});

/** A report, parsed. */
export type Report = z.infer<typeof reportSchema>;

/** A month of a report, parsed. */
export type ReportMonth = Report["months"][number];
