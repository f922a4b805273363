import * as z from "zod";
import { moneySchema, paymentMethodSchema } from "../../contract/basics.ts";

/** How the provider's record of a payment and the ledger can differ. */
const findingSchema = z.enum([
  "unknownPurchase",
  "notBooked",
  "amountDiffers",
  "notCaptured",
  "refundNotBooked",
  "refundNotMade",
]);

const reconciliationSchema = z.object({
  from: z.string(),
  until: z.string(),
  /** How many were compared. */
  payments: z.int(),
  /** How many differences were settled by advancing the purchase. */
  advanced: z.int(),
  /** How many differences of a kind are left. */
  findings: z.record(findingSchema, z.int()),
  /** What they amount to, whatever the direction, by currency. */
  differences: z.array(moneySchema),
  /** `none` if buying was not on hold. */
  hold: z.enum(["none", "released", "kept"]),
  /** The latest `--from` that releases a hold; `null` if that is not known. */
  heldSince: z.string().nullable(),
});

/** The output of the commands of `serve`, by the words that call them. */
export const serviceOutputs = {
  serve: z.object({ url: z.string(), instance: z.string(), pid: z.int() }),
  /** The migrations that were applied, or would be. */
  "serve migrate": z.object({ migrations: z.array(z.string()), plan: z.boolean() }),
  "serve check": z.object({
    ok: z.literal(true),
    warnings: z.array(z.string()),
    /** The account that is paid; `null` for test cards. */
    payments: z
      .object({
        provider: z.literal("stripe"),
        mode: z.enum(["live", "test"]),
        seller: z.string().nullable(),
        apiVersion: z.string(),
      })
      .nullable(),
  }),
  "serve reconcile": reconciliationSchema,
  "serve admin import": z.object({ organizations: z.array(z.object({ id: z.int(), name: z.string() })) }),
  "serve admin create-organization": z.object({ id: z.int(), name: z.string() }),
  "serve admin create-administrator": z.object({
    organizationId: z.int(),
    email: z.string(),
    /** `null` for a person who has a password. */
    link: z.string().nullable(),
  }),
  "serve admin set-payment-method": z.object({ organizationId: z.int(), paymentMethod: paymentMethodSchema }),
  "serve admin list-review": z.array(
    z.object({
      id: z.string(),
      organizationId: z.int().nullable(),
      kind: z.enum(["purchase", "renewal"]).nullable(),
      licenses: z.int().nullable(),
      /** Of a difference: what was captured, otherwise what is booked. */
      total: moneySchema.nullable(),
      acceptedAt: z.string().nullable(),
      paymentId: z.string().nullable(),
      /** `null` for a purchase whose payment is not known; `disputed` for one that the payer's bank disputes. */
      finding: z.enum([...findingSchema.options, "disputed"]).nullable(),
    }),
  ),
  "serve admin resolve": z.object({ id: z.string(), state: z.string() }),
  "serve admin hold": z.object({ held: z.literal(true), since: z.string().nullable() }),
  "serve admin release": z.object({ held: z.literal(false), wasHeld: z.boolean() }),
} as const satisfies Record<string, z.ZodType>;
