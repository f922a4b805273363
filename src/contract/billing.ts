import * as z from "zod";
import {
  addsUp,
  dateSchema,
  idSchema,
  instantSchema,
  licenseCountsSchema,
  moneySchema,
  organizationRefSchema,
  paymentMethodSchema,
  taxRateSchema,
  termSchema,
  writtenTextSchema,
} from "./basics.ts";

/** What is charged at once: one amount without its tax, the tax, and both. */
const chargeShape = {
  dueNow: moneySchema.describe("Prorated amount due now, before tax, in minor units; `total` is what is charged"),
  tax: moneySchema.describe("Tax on `dueNow`, in minor units"),
  total: moneySchema.describe("What is charged: `dueNow` and `tax`, in minor units"),
};

/** What a renewal costs. */
const recurringShape = {
  subtotal: moneySchema.describe("Recurring amount before tax, in minor units; `total` is what is charged"),
  tax: moneySchema.describe("Tax on `subtotal`, in minor units"),
  total: moneySchema.describe("What the renewal charges: `subtotal` and `tax`, in minor units"),
};

const unitPriceSchema = moneySchema.describe("Price of one license for one whole term, before tax, in minor units");

/** The renewal that a past-due or suspended subscription has to pay first. */
const unpaidSchema = z.object({
  purchaseId: z.string(),
  total: moneySchema.describe("What is charged, tax included, in minor units"),
  deadline: dateSchema.describe(
    "End of the grace period, a date in the billing time zone that never moves: the subscription is suspended from this day on until the renewal is paid",
  ),
});

/** `GET …/subscription` (cli.md, JSON; details.md, 21). */
export const subscriptionSchema = z.object({
  organization: z.object({ ...organizationRefSchema.shape, timeZone: z.string() }),
  plan: z.object({
    name: z.string(),
    interval: z.enum(["month", "year"]),
    intervalCount: z.int().positive(),
    unitPrice: unitPriceSchema,
  }),
  state: z.enum(["active", "past_due", "suspended", "ended"]),
  licenses: licenseCountsSchema,
  term: termSchema,
  renewal: z.object({
    autoRenew: z.boolean(),
    licenses: z.int().nonnegative().nullable(),
    subtotal: recurringShape.subtotal.nullable(),
    tax: recurringShape.tax.nullable(),
    total: recurringShape.total.nullable(),
  }),
  paymentMethod: paymentMethodSchema.nullable(),
  taxRate: taxRateSchema,
  /** Purchases accepted and not settled yet, and the licenses that they will bring. */
  pending: z.object({ purchases: z.int(), licenses: z.int() }),
  reduction: z.object({ licenses: z.int(), date: dateSchema }).nullable(),
  /** `null` while nothing is past due; absent where a backend does not tell. */
  unpaid: unpaidSchema.nullable().default(null),
  version: z.int(),
  asOf: instantSchema,
});

/** A subscription as it travels. */
export type Subscription = z.infer<typeof subscriptionSchema>;

/** `PUT …/subscription/reduction`. `subscriptionVersion`: only if the subscription is still the one that was looked at. */
export const reductionRequestSchema = z.strictObject({
  licenses: z.int().min(0),
  subscriptionVersion: z.int().optional(),
});

/** Fewer licenses from the renewal on, as it travels to the backend. */
export type ReductionRequest = z.infer<typeof reductionRequestSchema>;

/** `POST …/quotes`. */
export const quoteRequestSchema = z.strictObject({ licenses: z.int().min(1) });

/** A priced offer (cli.md, JSON). `chargeStep`: the provider's smallest step in minor units, 1 where it is absent. */
export const quoteSchema = z.object({
  id: z.string(),
  licenses: z.int().positive(),
  unitPrice: unitPriceSchema,
  purchaseDate: dateSchema,
  term: termSchema,
  dueNow: chargeShape.dueNow,
  taxRate: taxRateSchema,
  tax: chargeShape.tax,
  total: chargeShape.total,
  licensesAfter: z.int(),
  renewsAt: z.object({ date: dateSchema, licenses: z.int(), ...recurringShape }).nullable(),
  subscriptionVersion: z.int(),
  createdAt: instantSchema,
  expiresAt: instantSchema,
  chargeStep: z.int().positive().optional(),
});

/** A quote as it travels. */
export type Quote = z.infer<typeof quoteSchema>;

/** `POST …/purchases`. */
export const purchaseRequestSchema = z.strictObject({
  quoteId: idSchema,
  purchaseOrder: writtenTextSchema(100).optional(),
  note: writtenTextSchema(500).optional(),
});

/** What is bought, as it travels to the backend. */
export type PurchaseRequest = z.infer<typeof purchaseRequestSchema>;

/** `Idempotency-Key`: 1 to 255 visible ASCII characters (purchase.md, Idempotency). */
export const idempotencyKeySchema = z.string().regex(/^[\x21-\x7e]{1,255}$/);

/** A purchase. */
export const purchaseSchema = z.object({
  id: z.string(),
  kind: z.enum(["purchase", "renewal"]),
  status: z.enum(["processing", "requires_approval", "succeeded", "failed", "needs_review"]),
  licenses: z.int().nonnegative(),
  ...chargeShape,
  quoteId: z.string().nullable(),
  idempotencyKey: z.string().nullable(),
  createdAt: instantSchema,
  completedAt: instantSchema.nullable(),
  purchaseOrder: z.string().nullable(),
  note: z.string().nullable(),
  receiptNumber: z.string().nullable(),
  failure: z.object({ code: z.string(), message: z.string() }).nullable(),
  nextAction: z
    .object({
      type: z.string(),
      url: z.string(),
      expiresAt: instantSchema.describe(
        "Until when a purchase may be paid. Of an unpaid renewal the end of its grace period: it stays payable after that, and the subscription is suspended meanwhile. Never moves.",
      ),
    })
    .nullable(),
  purchasedBy: z.object({ email: z.string(), token: z.string().nullable() }).nullable(),
  /** The money that was given back, with its credit note; absent where a backend does not tell. */
  refund: z
    .object({ amount: moneySchema, creditNoteNumber: z.string(), refundedAt: instantSchema })
    .nullable()
    .optional(),
});

/** A purchase as it travels in lists and as the CLI prints it. */
export type Purchase = z.infer<typeof purchaseSchema>;

/** A purchase on its own, with the organization's license counts of now beside its fields (details.md, 15). */
export const purchaseAnswerSchema = z.object({
  ...purchaseSchema.shape,
  organizationLicenses: licenseCountsSchema,
});

/** A purchase on its own, as it travels. */
export type PurchaseAnswer = z.infer<typeof purchaseAnswerSchema>;

/** `GET …/purchases/{purchaseId}/receipt`. Every amount is the purchase's own, to the minor unit. */
export const receiptSchema = z
  .object({
    receiptNumber: z.string(),
    issuedAt: instantSchema,
    purchaseId: z.string(),
    kind: z.enum(["purchase", "renewal"]),
    organization: organizationRefSchema,
    plan: z.string(),
    licenses: z.int().nonnegative(),
    licensesAfter: z.int().nonnegative(),
    unitPrice: unitPriceSchema,
    purchaseDate: dateSchema,
    term: termSchema,
    dueNow: chargeShape.dueNow,
    taxRate: taxRateSchema,
    tax: chargeShape.tax,
    total: chargeShape.total,
    paymentMethod: paymentMethodSchema.nullable(),
    purchaseOrder: z.string().nullable(),
    note: z.string().nullable(),
    purchasedBy: z.object({ email: z.string(), token: z.string().nullable() }).nullable(),
    /** The purchase's: money may have come whose licenses could not be given. Absent where a backend does not tell. */
    status: purchaseSchema.shape.status.optional(),
    refund: purchaseSchema.shape.refund,
  })
  .refine(addsUp, { path: ["total"], message: "is not dueNow plus tax" });

/** A receipt as it travels. */
export type Receipt = z.infer<typeof receiptSchema>;

/** One entry of the audit log, oldest first. */
export const eventSchema = z.object({
  id: z.string(),
  at: instantSchema,
  type: z.string(),
  actor: z.string(),
  purchaseId: z.string().nullable(),
  data: z.record(z.string(), z.unknown()),
});
