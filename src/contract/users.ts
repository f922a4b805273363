import { z } from "zod";
import { instantSchema, licenseCountsSchema, organizationRefSchema, writtenTextSchema } from "./basics.ts";

/** How many users a page of SecureFlag's public call holds at most (product.md). */
export const USERS_PAGE_SIZE = 20;

/** A user in the shape of SecureFlag's public API (product.md). */
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

/** A user as it travels. */
export type User = z.infer<typeof userSchema>;

/** `POST …/users`. Role 7 (user) unless said. */
export const addUserRequestSchema = z.strictObject({
  email: z
    .string()
    .min(3)
    .max(320)
    .regex(/^[^\s@\0]+@[^\s@\0]+$/, "is not an email address"),
  firstName: writtenTextSchema(100),
  lastName: writtenTextSchema(100),
  role: z.int().optional(),
  adminNoTraining: z.boolean().optional(),
  assignmentStrategy: z.enum(["NONE", "INITIAL_PLAN", "INITIAL_PATH", "INITIAL_LABS"]).optional(),
});

/** The answer to a user added: the user, and the license counts after it. */
export const addUserAnswerSchema = z.object({ user: userSchema, organizationLicenses: licenseCountsSchema });
