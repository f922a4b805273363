import * as z from "zod";
import {
  addsUp,
  dateSchema,
  freeTextSchema,
  idSchema,
  instantSchema,
  licenseCountsSchema,
  modeShape,
  moneySchema,
  organizationRefSchema,
  paymentMethodSchema,
  taxRateSchema,
  termSchema,
} from "./basics.ts";
import { partiesShape } from "./billingDetails.ts";
import { budgetStateSchema } from "./policy.ts";

/** What is charged now: the net amount, its tax, and their sum. */
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

/** The unpaid renewal of a past-due or suspended subscription. */
const unpaidSchema = z.object({
  purchaseId: z.string(),
  total: moneySchema.describe("What is charged, tax included, in minor units"),
  deadline: dateSchema.describe(
    "End of the grace period, a date in the billing time zone that never moves: the subscription is suspended from this day on until the renewal is paid",
  ),
  missed: z
    .object({ renewals: z.int().positive(), total: moneySchema })
    .nullable()
    .default(null)
    .describe("The renewals of terms that have begun since, which are charged one after the other once it is paid"),
});

/** The answer to `GET …/subscription`. */
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
  /** Purchases that are accepted but not settled yet, and the licenses that they will add. */
  pending: z.object({ purchases: z.int(), licenses: z.int() }),
  reduction: z.object({ licenses: z.int(), date: dateSchema }).nullable(),
  /** `null` if nothing is past due; a backend may leave it out. */
  unpaid: unpaidSchema.nullable().default(null),
  /** The licenses of users who have been idle for so many days; `null` if unknown; a backend may leave it out. */
  idle: z.object({ days: z.int().nonnegative(), licenses: z.int().nonnegative() }).nullable().default(null),
  /** `null` without a budget; a backend may leave it out. */
  budget: budgetStateSchema.nullable().default(null),
  version: z.int(),
  asOf: instantSchema,
  ...modeShape,
});

/** A subscription, parsed. */
export type Subscription = z.infer<typeof subscriptionSchema>;

/** The answer to `GET …/payment-method`. */
export const storedPaymentMethodSchema = z.object({
  paymentMethod: paymentMethodSchema.nullable().describe("What purchases and renewals are charged to"),
  expires: z
    .string()
    .regex(/^\d{4}-(0[1-9]|1[0-2])$/)
    .nullable()
    .describe("The last month in which it can be charged, `YYYY-MM`; `null` if unknown"),
  url: z
    .string()
    .nullable()
    .describe("The page that changes it, for anyone who has the address; `null` without the scope `billing:purchase`"),
  urlExpiresAt: instantSchema.nullable().describe("Until when the address is valid"),
  ...modeShape,
});

/** A stored payment method, parsed. */
export type StoredPaymentMethod = z.infer<typeof storedPaymentMethodSchema>;

/** The body of `PUT …/subscription/reduction`. With `subscriptionVersion`, it fails if the subscription has changed. */
export const reductionRequestSchema = z.strictObject({
  licenses: z.int().min(0),
  subscriptionVersion: z.int().optional(),
});

/** A scheduled reduction to send. */
export type ReductionRequest = z.infer<typeof reductionRequestSchema>;

/** The body of `POST …/quotes`. */
export const quoteRequestSchema = z.strictObject({ licenses: z.int().min(1) });

/** A priced offer. `chargeStep` is the provider's smallest step in minor units, 1 by default. */
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

/** A quote, parsed. */
export type Quote = z.infer<typeof quoteSchema>;

/** The body of `POST …/purchases`. */
export const purchaseRequestSchema = z.strictObject({
  quoteId: idSchema,
  purchaseOrder: freeTextSchema(100).optional(),
  note: freeTextSchema(500).optional(),
});

/** An order to send. */
export type PurchaseRequest = z.infer<typeof purchaseRequestSchema>;

/** An `Idempotency-Key`: 1 to 255 visible ASCII characters (src/contract/README.md, Idempotency). */
export const idempotencyKeySchema = z.string().regex(/^[\x21-\x7e]{1,255}$/);

/** The `nextAction.type` of a purchase that another administrator has to approve. */
export const ADMINISTRATOR_APPROVAL = "administrator_approval";

/** A purchase or a renewal. */
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
      url: z.string().nullable().describe("The page on which to do it; `null` without one"),
      expiresAt: instantSchema.describe(
        "Until when a purchase may be paid, or approved by another administrator. Of an unpaid renewal the end of its grace period: it stays payable after that, and the subscription is suspended meanwhile. Never moves.",
      ),
    })
    .nullable(),
  purchasedBy: z.object({ email: z.string(), token: z.string().nullable() }).nullable(),
  /** The approval of another administrator that it needs or has; a backend may leave it out. */
  approval: z
    .object({
      digest: z.string().describe("SHA-256 of what is approved, in hexadecimal; an approval names it"),
      approvedBy: z.string().nullable(),
      approvedAt: instantSchema.nullable(),
    })
    .nullable()
    .optional(),
  /** The refund and its credit note; a backend may leave it out. */
  refund: z
    .object({ amount: moneySchema, creditNoteNumber: z.string(), refundedAt: instantSchema })
    .nullable()
    .optional(),
  ...modeShape,
});

/** A purchase, parsed: as lists contain it and as the CLI prints it. */
export type Purchase = z.infer<typeof purchaseSchema>;

/** A single purchase: its fields and the organization's current license counts. */
export const purchaseAnswerSchema = z.object({
  ...purchaseSchema.shape,
  organizationLicenses: licenseCountsSchema,
});

/** A single purchase, parsed. */
export type PurchaseAnswer = z.infer<typeof purchaseAnswerSchema>;

/** The body of `POST …/purchases/{purchaseId}/approve`: the digest of the purchase as it was shown. */
export const approvalRequestSchema = z.strictObject({ digest: z.string().regex(/^[0-9a-f]{64}$/) });

/** The body of `POST …/purchases/{purchaseId}/reject`. */
export const rejectionRequestSchema = z.strictObject({ reason: freeTextSchema(500) });

/** What a receipt and a credit note say of the purchase. */
const documentShape = {
  issuedAt: instantSchema,
  purchaseId: z.string(),
  kind: z.enum(["purchase", "renewal"]),
  organization: organizationRefSchema,
  plan: z.string(),
  licenses: z.int().nonnegative(),
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
  ...partiesShape,
  ...modeShape,
};

const sumIsWrong = { path: ["total"], message: "is not dueNow plus tax" };

/** The answer to `GET …/purchases/{purchaseId}/receipt`. Its amounts are exactly those of the purchase. */
export const receiptSchema = z
  .object({
    receiptNumber: z.string(),
    ...documentShape,
    licensesAfter: z.int().nonnegative(),
    /** The purchase's: a payment may have arrived too late for its licenses. A backend may leave it out. */
    status: purchaseSchema.shape.status.optional(),
    refund: purchaseSchema.shape.refund,
  })
  .refine(addsUp, sumIsWrong);

/** A receipt, parsed. */
export type Receipt = z.infer<typeof receiptSchema>;

/** The answer to `GET …/purchases/{purchaseId}/credit-note`: what was refunded, which is the whole receipt. */
export const creditNoteSchema = z
  .object({
    creditNoteNumber: z.string(),
    receiptNumber: z.string(),
    receiptIssuedAt: instantSchema,
    ...documentShape,
  })
  .refine(addsUp, sumIsWrong);

/** A credit note, parsed. */
export type CreditNote = z.infer<typeof creditNoteSchema>;
