import * as z from "zod";
import { isTimeZone } from "../../billing/calendar.ts";
import { BillingError } from "../../billing/errors.ts";
import { isCurrency } from "../../billing/money.ts";
import { recurringCharge } from "../../billing/proration.ts";
import { takesLicense } from "../../billing/roles.ts";
import { dateSchema, instantSchema, taxRateSchema } from "../../contract/basics.ts";
import { SCOPES } from "../../contract/constants.ts";
import { emailKey } from "../../contract/email.ts";
import { roleSchema } from "../../contract/users.ts";
import { parseStrictJson } from "../http/body.ts";
import { describeIssue } from "../http/register.ts";
import { SANDBOX_PAYMENT_METHODS } from "../payments/cards.ts";
import { digestOf, invalidSeed } from "./seed.ts";

const text = z.string().min(1, "is empty");

const userSchema = z.strictObject({
  email: text.max(320),
  firstName: z.string(),
  lastName: z.string(),
  role: roleSchema,
  password: text.max(1024).optional(),
  totpSecret: z
    .string()
    // People copy it from an authenticator in groups and in either case.
    .regex(/^ *([A-Z2-7] *){16,}=*$/i, "is not a base32 secret of at least 16 characters")
    .nullish(),
  adminNoTraining: z.boolean(),
  lastLogin: instantSchema.nullish(),
});

const spendLimitSchema = z
  .strictObject({ amount: z.int().nonnegative().optional(), licenses: z.int().nonnegative().optional() })
  .refine((limit) => limit.amount !== undefined || limit.licenses !== undefined, "requires an amount or licenses");

const tokenSchema = z.strictObject({
  name: text,
  token: z.string().regex(/^[\x21-\x7e]+$/, "must be 1 or more visible ASCII characters"),
  scopes: z.array(z.enum(SCOPES)),
  userEmail: text,
  spendLimit: spendLimitSchema.nullish(),
});

const subscriptionSchema = z.strictObject({
  plan: text,
  interval: z.enum(["month", "year"]),
  intervalCount: z.int().min(1).max(120),
  anchorDate: dateSchema,
  unitPrice: z.strictObject({
    amount: z.int().nonnegative(),
    currency: z.string().refine(isCurrency, "is not a currency code of ISO 4217"),
  }),
  taxRate: taxRateSchema,
  licenses: z.int().nonnegative().max(1_000_000),
  autoRenew: z.boolean(),
});

/** Whether the recurring total of a subscription is small enough to be charged. */
function isAffordable(subscription: z.output<typeof subscriptionSchema>): boolean {
  try {
    recurringCharge(subscription);
    return true;
  } catch (error) {
    // Other problems of the subscription have messages of their own.
    return !(error instanceof BillingError && error.code === "amount_out_of_range");
  }
}

/** The ID of an object at Stripe, whose kind its prefix says. */
function stripeIdSchema(prefix: string) {
  const isId = new RegExp(`^${prefix}_[A-Za-z0-9_]{1,250}$`);
  return z.string().regex(isId, `is not an ID of Stripe that begins with ${prefix}_`).nullish();
}

const organizationSchema = z
  .strictObject({
    id: z
      .int()
      .positive()
      .max(2 ** 31 - 1),
    name: z.string(),
    timeZone: z.string().refine(isTimeZone, "is not a time zone of the IANA database"),
    subscription: subscriptionSchema,
    paymentMethod: z.enum(SANDBOX_PAYMENT_METHODS as [string, ...string[]]).nullable(),
    usedLicenses: z.int().nonnegative(),
    stripeCustomerId: stripeIdSchema("cus"),
    stripeSubscriptionId: stripeIdSchema("sub"),
    stripeSubscriptionItemId: stripeIdSchema("si"),
    users: z.array(userSchema),
    tokens: z.array(tokenSchema).optional(),
  })
  .superRefine((organization, context) => {
    const problem = (path: PropertyKey[], message: string) => context.addIssue({ code: "custom", path, message });
    if (!isAffordable(organization.subscription)) {
      problem(["subscription", "unitPrice", "amount"], "times the licenses is too large to charge");
    }
    const { stripeCustomerId, stripeSubscriptionId, stripeSubscriptionItemId } = organization;
    if (!stripeSubscriptionId !== !stripeSubscriptionItemId || (stripeSubscriptionId && !stripeCustomerId)) {
      problem(["stripeSubscriptionId"], "requires stripeCustomerId and stripeSubscriptionItemId, and they require it");
    }
    const taking = organization.users.filter(takesLicense).length;
    if (organization.usedLicenses > organization.subscription.licenses) {
      problem(["usedLicenses"], `is more than the ${organization.subscription.licenses} licenses purchased`);
    }
    if (organization.usedLicenses < taking) {
      problem(["usedLicenses"], `is less than the ${taking} licenses that the listed users take`);
    }
    const emails = organization.users.map((user) => emailKey(user.email));
    for (const [index, email] of emails.entries()) {
      if (emails.indexOf(email) < index) problem(["users", index, "email"], "is a duplicate");
    }
    for (const [index, token] of (organization.tokens ?? []).entries()) {
      if (!emails.includes(emailKey(token.userEmail))) {
        problem(["tokens", index, "userEmail"], "is not the email of a user of this organization");
      }
    }
  });

/** A seed file. Two organizations can share a person, who then has one password. */
const seedSchema = z
  .strictObject({ organizations: z.array(organizationSchema).min(1, "must have at least one organization") })
  .superRefine(({ organizations }, context) => {
    const seen = new Map<string, unknown>();
    const once = (kind: string, value: string | number, path: PropertyKey[]) => {
      const key = `${kind} ${value}`;
      if (seen.has(key)) context.addIssue({ code: "custom", path, message: "is a duplicate" });
      seen.set(key, true);
    };
    for (const [o, organization] of organizations.entries()) {
      once("organization", organization.id, ["organizations", o, "id"]);
      for (const [t, token] of (organization.tokens ?? []).entries()) {
        once("token", token.token, ["organizations", o, "tokens", t, "token"]);
      }
      for (const [u, user] of organization.users.entries()) {
        const key = `person ${emailKey(user.email)}`;
        const person = JSON.stringify([user.password, user.totpSecret ?? null]);
        if (seen.has(key) && seen.get(key) !== person) {
          context.addIssue({
            code: "custom",
            path: ["organizations", o, "users", u, "password"],
            message: "differs from the same person's in another organization",
          });
        }
        seen.set(key, person);
      }
    }
  });

/** A seed, parsed. */
export type Seed = z.output<typeof seedSchema>;

/** One organization of a seed. */
export type SeedOrganization = Seed["organizations"][number];

/** A seed with the digest of its file, by which the same file is recognized. */
export interface SeedFile {
  readonly seed: Seed;
  readonly digest: string;
}

/**
 * Reads a seed file.
 *
 * @param mode `test` requires a password of every user, and so does `sandbox`, which refuses the customers and subscriptions
 *   of a provider; `live` refuses what is only for tests: passwords, tokens, test cards and sample users
 * @throws BackendError `seed_invalid`, with the paths of the problems
 */
export function readSeed(file: { path: string; text: string }, mode: keyof typeof PROBLEMS_OF = "sandbox"): SeedFile {
  const result = seedSchema.safeParse(parseJson(file), { jitless: true });
  if (!result.success) throw invalidSeed(file.path, result.error.issues.flatMap(describeIssue));
  const problems = PROBLEMS_OF[mode](result.data);
  if (problems.length > 0) throw invalidSeed(file.path, problems);
  return { seed: result.data, digest: digestOf(file.text) };
}

/** A problem of a file by the path of the field. */
type Problem = { path: string; message: string };

function problemsOfTest({ organizations }: Seed): Problem[] {
  return organizations.flatMap(({ users }, o) =>
    users.flatMap(({ password }, u) =>
      password === undefined ? [{ path: `organizations[${o}].users[${u}].password`, message: "is missing" }] : [],
    ),
  );
}

const TEST_MODE_ONLY = "is allowed in test mode only";

function problemsOfLive({ organizations }: Seed): Problem[] {
  return organizations.flatMap(({ users, tokens = [], paymentMethod, usedLicenses }, o) => {
    const at = (path: string, message = TEST_MODE_ONLY) => ({ path: `organizations[${o}].${path}`, message });
    const taking = users.filter(takesLicense).length;
    return [
      ...users.flatMap(({ password, totpSecret }, u) => [
        ...(password === undefined ? [] : [at(`users[${u}].password`)]),
        ...(totpSecret ? [at(`users[${u}].totpSecret`)] : []),
      ]),
      ...(tokens.length === 0 ? [] : [at("tokens")]),
      ...(paymentMethod === null ? [] : [at("paymentMethod")]),
      ...(usedLicenses === taking ? [] : [at("usedLicenses", `is not the ${taking} that the listed users take`)]),
    ];
  });
}

/** What nothing would renew in a sandbox, which has no such provider. */
function problemsOfSandbox(seed: Seed): Problem[] {
  const named = seed.organizations.flatMap(({ stripeCustomerId }, o) =>
    stripeCustomerId
      ? [
          {
            path: `organizations[${o}].stripeCustomerId`,
            message: "is not possible in a sandbox, which does not use Stripe",
          },
        ]
      : [],
  );
  return [...problemsOfTest(seed), ...named];
}

const PROBLEMS_OF = { sandbox: problemsOfSandbox, test: problemsOfTest, live: problemsOfLive };

/**
 * Validates one organization as a seed file would have it.
 *
 * @returns the organization, or the problems by path
 */
export function parseOrganization(value: unknown): SeedOrganization | Problem[] {
  const result = organizationSchema.safeParse(value, { jitless: true });
  return result.success ? result.data : result.error.issues.flatMap(describeIssue);
}

function parseJson(file: { path: string; text: string }): unknown {
  try {
    // Some editors start a file with a byte order mark.
    return parseStrictJson(file.text.replace(/^\ufeff/, ""));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw invalidSeed(file.path, [{ path: "", message: message.replace(/^is /, "it is ") }]);
  }
}
