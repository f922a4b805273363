import * as z from "zod";
import { idSchema, instantSchema, moneySchema } from "./basics.ts";

const periodSchema = z.enum(["month", "year"]).describe("A calendar month or year of the billing time zone");

const approvalAboveSchema = moneySchema
  .nullable()
  .describe("The total with tax above which another administrator approves a purchase; `null` for never");

/** A budget to set: with tax, in minor units. */
const budgetSchema = z.object({ amount: moneySchema, period: periodSchema });

/** A budget, with what is spent of it in the current period and what is left. */
export const budgetStateSchema = z.object({ ...budgetSchema.shape, spent: moneySchema, left: moneySchema });

/** A budget with what is spent of it, parsed. */
export type BudgetState = z.infer<typeof budgetStateSchema>;

/** A change of the policy, or of who is an administrator, that waits. */
export const pendingChangeSchema = z.object({
  id: idSchema,
  kind: z.enum(["policy", "user_add", "user_update", "user_remove"]),
  /** What changes of the policy; what is left out stays. `null` for a change of a user. */
  policy: z
    .object({ approvalAbove: approvalAboveSchema.optional(), budget: budgetSchema.nullable().optional() })
    .nullable(),
  /** The user and their role after the change, `null` for none; `null` for a change of the policy. */
  user: z
    .object({
      email: z.string().nullable().describe("`null` without the scope `users:read`"),
      idUser: z.int().nullable(),
      role: z.int().nullable(),
    })
    .nullable(),
  requestedBy: z.string().nullable().describe("An email; `null` without the scope `users:read`"),
  requestedAt: instantSchema,
  takesEffectAt: instantSchema.nullable().describe("`null` while it needs a second administrator"),
});

/** A change that waits, parsed. */
export type PendingChange = z.infer<typeof pendingChangeSchema>;

/** The answer to `GET …/policy`. */
export const policySchema = z.object({
  approvalAbove: approvalAboveSchema,
  budget: budgetStateSchema.nullable(),
  pending: z.array(pendingChangeSchema).describe("Oldest first"),
});

/** A policy, parsed. */
export type PolicyState = z.infer<typeof policySchema>;

/** The body of `PUT …/policy`: only the fields passed are changed, and `null` removes one. */
export const policyRequestSchema = z.strictObject({
  approvalAbove: approvalAboveSchema.optional(),
  budget: budgetSchema.strict().nullable().optional(),
});

/** A change of the policy to send. */
export type PolicyRequest = z.infer<typeof policyRequestSchema>;

/** The body of `POST …/policy/approve` and `…/reject`. */
export const policyDecisionSchema = z.strictObject({ id: idSchema });
