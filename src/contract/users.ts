import * as z from "zod";
import { isOfferedRole, isRole, ROLES } from "../billing/roles.ts";
import { ASSIGNMENT_STRATEGIES } from "./assignmentStrategies.ts";
import { instantSchema, licenseCountsSchema, organizationRefSchema } from "./basics.ts";
import { emailKey, isEmailAddress } from "./email.ts";

/** How many users a page of SecureFlag's public call holds at most (product.md). */
export const USERS_PAGE_SIZE = 20;

/** How many users one import may bring. */
export const MOST_IMPORTED_USERS = 10_000;

/** A user of this package's backend, in the shape of SecureFlag's public API (product.md). */
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
});

/** What is missing, or not of the kind that it should be, is read as `null`. */
function orNull<Value>(schema: z.ZodType<Value>) {
  return schema
    .nullish()
    .transform((value) => value ?? null)
    .catch(null);
}

/** SecureFlag's dates are read as they come: nothing says that they are RFC 3339. */
const dateAsItCame = orNull(z.union([z.string(), z.number()]));

/** The fields that are read. */
const listedFields = z.object({
  idUser: z.int(),
  email: orNull(z.string()),
  username: orNull(z.string()),
  firstName: orNull(z.string()),
  lastName: orNull(z.string()),
  role: orNull(z.int()),
  status: orNull(z.string()),
  adminNoTraining: orNull(z.boolean()),
  joinedDateTime: dateAsItCame,
  licenseStart: dateAsItCame,
  licenseEnd: dateAsItCame,
  defaultOrganization: orNull(z.object({ id: orNull(z.int()), name: orNull(z.string()) })),
  team: orNull(z.object({ idTeam: orNull(z.int()), name: orNull(z.string()) })),
  stripeCustomerId: orNull(z.string()),
  stripeSubscriptionId: orNull(z.string()),
  stripeSubscriptionAutorenewal: orNull(z.boolean()),
  uuid: orNull(z.string()),
});

/**
 * A user as a list shows it, SecureFlag's own as well: only `idUser` is certain to be there. Statuses, roles and dates
 * that we do not know are kept as they came, and so is every other field, such as `lastLogin`, `exercisesRun`, `tags`,
 * `externalId`, `emailVerified`, `initTrainingPlan` and `jobType`.
 */
export const listedUserSchema = listedFields.loose();

/** A user as the client reads it; one of this package's backend is one as well. */
export type User = z.infer<typeof listedFields>;

/** A user as this package's backend shows it. */
export type OwnUser = z.infer<typeof userSchema>;

/** A role's number, those among them that are not offered any more. */
export const roleSchema = z.int().refine(isRole, "is not a role: -1, 0, 1, 3, 4, 5, 6 or 7");

const offeredRoleSchema = z.int().refine(isOfferedRole, "is not a role to give: 0, 3, 4, 5, 6 or 7");

/** An email address that mail servers take, without invisible characters. */
const emailSchema = z
  .string()
  .max(320, { error: "has more than 320 characters", abort: true })
  .regex(/^\P{C}*$/u, { error: "holds a character that cannot be seen", abort: true })
  .refine(isEmailAddress, "is not an email address")
  .meta({ format: "idn-email" });

/** A first or last name: something that can be seen, without control characters. */
const personNameSchema = z
  .string()
  .max(100, "has more than 100 characters")
  .regex(/[^\s\p{C}]/u, "is empty")
  .regex(
    /^[^\p{Control}\p{Bidi_Control}\p{Surrogate}\p{Noncharacter_Code_Point}]*$/u,
    "holds a line break or a control character",
  );

/** `POST …/users`. Role 7 (user) unless said. */
export const addUserRequestSchema = z
  .strictObject({
    email: emailSchema,
    firstName: personNameSchema,
    lastName: personNameSchema,
    role: offeredRoleSchema.optional(),
    adminNoTraining: z.boolean().optional(),
  })
  .refine(({ role = ROLES.user, adminNoTraining }) => !adminNoTraining || role < ROLES.user, {
    path: ["adminNoTraining"],
    message: "is for administrative roles; the role user always trains",
  });

/** A user to add, as it travels to the backend. */
export type AddUserRequest = z.infer<typeof addUserRequestSchema>;

/** What an organization assigns to everybody who is added to it; a setting, and the answer to setting and reading it. */
export const assignmentStrategySchema = z.strictObject({ assignmentStrategy: z.enum(ASSIGNMENT_STRATEGIES) });

/** What was assigned to those who were added. One that is not known here is no reason to doubt that they were. */
const assignedSchema = z.enum(ASSIGNMENT_STRATEGIES).optional().catch(undefined);

/** The answer to a user added: the user, the license counts after it, and the assignment strategy that applied. */
export const addUserAnswerSchema = z.object({
  user: userSchema,
  organizationLicenses: licenseCountsSchema,
  assignmentStrategy: assignedSchema,
});

/** The answer to a user added, as it travels. */
export type AddUserAnswer = z.infer<typeof addUserAnswerSchema>;

/** `POST …/users/import`: everybody is there once, however the email is written. */
export const importUsersRequestSchema = z
  .strictObject({ users: z.array(addUserRequestSchema).min(1).max(MOST_IMPORTED_USERS) })
  .superRefine(({ users }, context) => {
    const seen = new Map<string, number>();
    for (const [index, { email }] of users.entries()) {
      const key = emailKey(email);
      const first = seen.get(key);
      if (first === undefined) seen.set(key, index);
      else
        context.addIssue({ code: "custom", path: ["users", index, "email"], message: `is users[${first}].email too` });
    }
  });

/** The answer to an import: positions in the request of those who were users already; the rest as for one user. */
export const importUsersAnswerSchema = z.object({
  existing: z.array(z.int().nonnegative()),
  organizationLicenses: licenseCountsSchema,
  assignmentStrategy: assignedSchema,
});

/** The answer to an import, as it travels. */
export type ImportUsersAnswer = z.infer<typeof importUsersAnswerSchema>;

/** The answer to a user removed: the license counts after it. */
export const removeUserAnswerSchema = z.object({ organizationLicenses: licenseCountsSchema });
