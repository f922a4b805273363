import * as z from "zod";
import { isAssignableRole, isRole, ROLES } from "../billing/roles.ts";
import { instantSchema, licenseCountsSchema, organizationRefSchema } from "./basics.ts";
import { ASSIGNMENT_STRATEGIES } from "./constants.ts";
import { emailKey, isEmailAddress } from "./email.ts";
import { pendingChangeSchema } from "./policy.ts";

/** How many users a page has at most. */
export const USERS_PAGE_SIZE = 20;

/** How many users one import can have. */
export const MAX_IMPORTED_USERS = 10_000;

/** A user of this package's backend, in the shape of SecureFlag's public API (src/contract/README.md, Users). */
export const userSchema = z.object({
  idUser: z.int(),
  email: z.string(),
  username: z.string().nullable(),
  firstName: z.string().nullable(),
  lastName: z.string().nullable(),
  role: z.int(),
  status: z.enum(["ACTIVE", "INACTIVE", "LOCKED", "INVITED", "REMOVED"]),
  adminNoTraining: z.boolean(),
  joinedDateTime: instantSchema.nullable(),
  licenseStart: instantSchema.nullable(),
  licenseEnd: instantSchema.nullable(),
  defaultOrganization: organizationRefSchema.nullable(),
  team: z.object({ idTeam: z.int(), name: z.string() }).nullable(),
  stripeCustomerId: z.string().nullable(),
  stripeSubscriptionId: z.string().nullable(),
  stripeSubscriptionAutorenewal: z.boolean(),
  uuid: z.string(),
  lastLogin: instantSchema.nullable().default(null).describe("The last sign-in, `null` for none"),
  addedDateTime: instantSchema.nullable().default(null).describe("When the user was last added, `null` if unknown"),
});

/** Parses a missing or unexpected value as `null`. */
function orNull<Value>(schema: z.ZodType<Value>) {
  return schema
    .nullish()
    .transform((value) => value ?? null)
    .catch(null);
}

/** The format of SecureFlag's dates is undocumented, so they are passed through. */
const rawDateSchema = orNull(z.union([z.string(), z.number()]));

/** The fields that the client reads. */
const listedFields = z.object({
  idUser: z.int(),
  email: orNull(z.string()),
  username: orNull(z.string()),
  firstName: orNull(z.string()),
  lastName: orNull(z.string()),
  role: orNull(z.int()),
  status: orNull(z.string()),
  adminNoTraining: orNull(z.boolean()),
  joinedDateTime: rawDateSchema,
  licenseStart: rawDateSchema,
  licenseEnd: rawDateSchema,
  defaultOrganization: orNull(z.object({ id: orNull(z.int()), name: orNull(z.string()) })),
  team: orNull(z.object({ idTeam: orNull(z.int()), name: orNull(z.string()) })),
  stripeCustomerId: orNull(z.string()),
  stripeSubscriptionId: orNull(z.string()),
  stripeSubscriptionAutorenewal: orNull(z.boolean()),
  uuid: orNull(z.string()),
  lastLogin: rawDateSchema,
  /** Not in SecureFlag's own lists. */
  addedDateTime: z.union([z.string(), z.number()]).nullish().catch(null),
});

/**
 * A user of a list, SecureFlag's own included. Only `idUser` is required. Unknown statuses, roles and fields are kept,
 * such as `exercisesRun`, `tags`, `externalId`, `emailVerified`, `initTrainingPlan` and `jobType`.
 */
export const listedUserSchema = listedFields.loose();

/** A user of a list, parsed. */
export type User = z.infer<typeof listedFields>;

/** A user of this package's backend, parsed. */
export type OwnUser = z.infer<typeof userSchema>;

/** A role's number, including roles that are no longer offered. */
export const roleSchema = z.int().refine(isRole, "is not a role: -1, 0, 1, 3, 4, 5, 6 or 7");

const offeredRoleSchema = z.int().refine(isAssignableRole, "is not a role that can be assigned: 0, 3, 4, 5, 6 or 7");

/** An email address without invisible characters. */
const emailSchema = z
  .string()
  .max(320, { error: "has more than 320 characters", abort: true })
  .regex(/^\P{C}*$/u, { error: "contains an invisible character", abort: true })
  .refine(isEmailAddress, "is not an email address")
  .meta({ format: "idn-email" });

/** A first or last name: not blank, and without control characters. */
const personNameSchema = z
  .string()
  .max(100, "has more than 100 characters")
  .regex(/[^\s\p{C}]/u, "is empty")
  .regex(
    /^[^\p{Control}\p{Bidi_Control}\p{Surrogate}\p{Noncharacter_Code_Point}]*$/u,
    "contains a line break or a control character",
  );

const addedFields = {
  email: emailSchema,
  firstName: personNameSchema,
  lastName: personNameSchema,
  role: offeredRoleSchema.optional(),
  adminNoTraining: z.boolean().optional(),
};

const training = {
  path: ["adminNoTraining"],
  message: "is for administrative roles; the role user always trains",
};

/** The body of `POST …/users`. The default role is 7, user. */
export const addUserRequestSchema = z.strictObject(addedFields).refine(hasTraining, training);

/** A user to add. */
export type AddUserRequest = z.infer<typeof addUserRequestSchema>;

/** A user of a list to sync. The names are needed of those who are added, and ignored of those who exist. */
export const syncedUserSchema = z
  .strictObject({
    ...addedFields,
    firstName: personNameSchema.optional(),
    lastName: personNameSchema.optional(),
  })
  .refine(hasTraining, training);

/** A user of a list to sync. */
export type SyncedUser = z.infer<typeof syncedUserSchema>;

interface TrainingRequest {
  readonly role?: number | undefined;
  readonly adminNoTraining?: boolean | undefined;
}

function hasTraining({ role = ROLES.user, adminNoTraining }: TrainingRequest): boolean {
  return !adminNoTraining || role < ROLES.user;
}

/** The assignment strategy of an organization, as body and as answer. */
export const assignmentStrategySchema = z.strictObject({ assignmentStrategy: z.enum(ASSIGNMENT_STRATEGIES) });

/** What was assigned to the added users. They were added even if the strategy is unknown here. */
const assignedSchema = z.enum(ASSIGNMENT_STRATEGIES).optional().catch(undefined);

/** Set while a policy is set and the change needs a second administrator: then nothing is changed yet. */
const waitingSchema = pendingChangeSchema.nullable().default(null);

/**
 * The answer to `POST …/users`: the user, the license counts after it, and the assignment strategy that applied. The user is
 * `null` while `pending` is not.
 */
export const addUserAnswerSchema = z.object({
  user: userSchema.nullable(),
  pending: waitingSchema,
  organizationLicenses: licenseCountsSchema,
  assignmentStrategy: assignedSchema,
});

/** The answer to `POST …/users`, parsed. */
export type AddUserAnswer = z.infer<typeof addUserAnswerSchema>;

/** A list of users: each person at most once, whatever the spelling of the email. */
function userListOf<User extends { readonly email: string }>(user: z.ZodType<User>) {
  return z
    .array(user)
    .min(1)
    .max(MAX_IMPORTED_USERS)
    .superRefine((users, context) => {
      const seen = new Map<string, number>();
      for (const [index, { email }] of users.entries()) {
        const key = emailKey(email);
        const first = seen.get(key);
        if (first === undefined) seen.set(key, index);
        else
          context.addIssue({ code: "custom", path: [index, "email"], message: `is the same as users[${first}].email` });
      }
    });
}

/** The body of `POST …/users/import`. */
export const importUsersRequestSchema = z.strictObject({ users: userListOf(addUserRequestSchema) });

/** The answer to `POST …/users/import`: the positions in the request of existing users; otherwise as for one user. */
export const importUsersAnswerSchema = z.object({
  existing: z.array(z.int().nonnegative()),
  organizationLicenses: licenseCountsSchema,
  assignmentStrategy: assignedSchema,
});

/** The answer to `POST …/users/import`, parsed. */
export type ImportUsersAnswer = z.infer<typeof importUsersAnswerSchema>;

/** The answer to `DELETE …/users/{idUser}`: the license counts after it. */
export const removeUserAnswerSchema = z.object({ organizationLicenses: licenseCountsSchema, pending: waitingSchema });

/** The answer to `DELETE …/users/{idUser}`, parsed. */
export type RemoveUserAnswer = z.infer<typeof removeUserAnswerSchema>;

/** The body of `PATCH …/users/{idUser}`. */
export const updateUserRequestSchema = z.strictObject({ role: offeredRoleSchema });

/** The answer to `PATCH …/users/{idUser}`: the user and the license counts after it. */
export const updateUserAnswerSchema = z.object({
  user: userSchema,
  organizationLicenses: licenseCountsSchema,
  pending: waitingSchema,
});

/** The answer to `PATCH …/users/{idUser}`, parsed. */
export type UpdateUserAnswer = z.infer<typeof updateUserAnswerSchema>;

/** How many users who are not in a list are named. */
export const MAX_NAMED_MISSING = 1_000;

/** The body of `POST …/users/sync`. Without the `plan` of an earlier answer, nothing is changed. */
export const syncUsersRequestSchema = z.strictObject({
  users: userListOf(syncedUserSchema),
  remove: z.boolean().describe("Whether users who are not in the list are removed"),
  plan: z.string().max(100).optional(),
});

/** A list to sync. */
export type SyncUsersRequest = z.infer<typeof syncUsersRequestSchema>;

/** The answer to `POST …/users/sync`. Positions are those of the request. */
export const syncUsersAnswerSchema = z.object({
  plan: z.string().describe("Identifies what would be done, or was done"),
  applied: z.boolean(),
  added: z.array(z.int().nonnegative()),
  /** The users whose role or training changes, with both as they were. */
  changed: z.array(
    z.object({ position: z.int().nonnegative(), idUser: z.int(), role: z.int(), adminNoTraining: z.boolean() }),
  ),
  /** Users who are not in the list: how many, and the first 1,000. They are removed only with `remove`. */
  missing: z.object({
    count: z.int().nonnegative(),
    users: z.array(z.object({ idUser: z.int(), email: z.string() })),
  }),
  /** Users who are neither removed nor demoted, although the list says so. */
  kept: z.array(z.object({ idUser: z.int(), email: z.string(), reason: z.enum(["caller", "last_administrator"]) })),
  neededLicenses: z.int().describe("Licenses taken less those freed; negative if more are freed"),
  organizationLicenses: licenseCountsSchema,
  assignmentStrategy: assignedSchema,
});

/** The answer to `POST …/users/sync`, parsed. */
export type SyncUsersAnswer = z.infer<typeof syncUsersAnswerSchema>;
