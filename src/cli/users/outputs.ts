import * as z from "zod";
import { licenseCountsSchema } from "../../contract/basics.ts";
import { purchaseSchema } from "../../contract/billing.ts";
import { pendingChangeSchema } from "../../contract/policy.ts";
import { assignmentStrategySchema, listedUserSchema, syncUsersAnswerSchema, userSchema } from "../../contract/users.ts";

/** The user that would be added, without the fields of an existing one. */
const plannedUserSchema = z.object({ ...userSchema.shape, idUser: z.null(), username: z.null(), uuid: z.null() });

const trainingSchema = z.object({ role: z.int(), adminNoTraining: z.boolean() });

/** Only while the change waits for another administrator: then nothing is changed yet. */
const waiting = { pending: pendingChangeSchema.optional() };

const removedUserSchema = z.object({
  ...waiting,
  email: z.string(),
  idUser: z.int(),
  removed: z.boolean(),
  /** `null` if an answer was lost, and in a dry run whose token may not read them. */
  licenses: licenseCountsSchema.nullable(),
  dryRun: z.boolean(),
});

/** The result of removing one user. */
export type RemovedUser = z.output<typeof removedUserSchema>;

const removedUsersSchema = z.object({
  results: z.array(
    z.object({
      email: z.string(),
      idUser: z.int().nullable(),
      removed: z.boolean(),
      error: z.object({ code: z.string(), message: z.string() }).nullable(),
      ...waiting,
    }),
  ),
  licenses: licenseCountsSchema.nullable(),
  dryRun: z.boolean(),
});

/** What became of several users to remove. */
export type RemovedUsers = z.output<typeof removedUsersSchema>;

/** The outputs of the commands about users, for `outputs.ts`. */
export function usersOutputs<Quote extends z.ZodType>(verifiedQuoteSchema: Quote) {
  /** The common output of the commands that add users; `purchase` is what was bought for them. */
  const addingOutput = {
    purchase: purchaseSchema.nullable(),
    /** Earlier purchases, whose licenses others took. */
    earlierPurchases: z.array(purchaseSchema).optional(),
    /** `null` only in a dry run whose token may not read them. */
    licenses: licenseCountsSchema.nullable(),
    dryRun: z.boolean(),
    /** What the added users were assigned, if the backend reports it. */
    assignmentStrategy: assignmentStrategySchema.shape.assignmentStrategy.optional(),
    /** Only in a dry run that would buy licenses. */
    quote: verifiedQuoteSchema.optional(),
  };
  return {
    "users list": z.array(listedUserSchema),
    "users idle": z.array(listedUserSchema),
    "users add": z.object({ user: z.union([userSchema, plannedUserSchema]).nullable(), ...addingOutput, ...waiting }),
    /** Emails as written in the file. */
    "users import": z.object({ added: z.array(z.string()), existing: z.array(z.string()), ...addingOutput }),
    /** Emails as written in the file; of those who are removed, the first 1,000. */
    "users sync": z.object({
      added: z.array(z.string()),
      changed: z.array(z.object({ email: z.string(), idUser: z.int(), from: trainingSchema, to: trainingSchema })),
      removed: z.array(z.object({ email: z.string(), idUser: z.int() })),
      /** How many users are not in the file; without --remove they stay. */
      missing: z.int().nonnegative(),
      kept: syncUsersAnswerSchema.shape.kept,
      ...addingOutput,
    }),
    "users update": z.object({
      email: z.string(),
      idUser: z.int(),
      /** The role before. */
      from: z.int().nullable(),
      role: z.int(),
      changed: z.boolean(),
      ...waiting,
      /** `null` only in a dry run whose token may not read them. */
      licenses: licenseCountsSchema.nullable(),
      dryRun: z.boolean(),
    }),
    /** One object for one email, otherwise the result of each. */
    "users remove": z.union([removedUserSchema, removedUsersSchema]),
  };
}
