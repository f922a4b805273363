import * as z from "zod";
import { dateSchema, licenseCountsSchema } from "../contract/basics.ts";
import { purchaseSchema, quoteSchema, receiptSchema, subscriptionSchema } from "../contract/billing.ts";
import { apiTokenSchema, createdTokenSchema, membershipSchema, meSchema } from "../contract/identity.ts";
import { clockAnswerSchema, sandboxStateSchema } from "../contract/sandbox.ts";
import { assignmentStrategySchema, listedUserSchema, userSchema } from "../contract/users.ts";
import { licenseTargetSchema } from "./buying/engine/wanted.ts";
import { SHELLS } from "./help/page.ts";

const verifiedQuoteSchema = z.object({ ...quoteSchema.shape, verified: z.literal(true) });

/** What licenses cost today and later. */
const forecastSchema = z.object({
  quote: verifiedQuoteSchema,
  prices: z.array(
    z.object({
      date: dateSchema,
      daysRemaining: z.int(),
      ...purchaseSchema.pick({ dueNow: true, tax: true, total: true }).shape,
    }),
  ),
  renewal: quoteSchema.shape.renewsAt.unwrap().omit({ licenses: true }).nullable(),
});

/** What every command that ends with one purchase prints (cli.md, JSON; details.md, 22). */
const purchaseOutput = {
  purchase: purchaseSchema.nullable(),
  licenses: licenseCountsSchema.nullable(),
  quote: verifiedQuoteSchema.nullable(),
  replayed: z.boolean(),
  dryRun: z.boolean(),
};

const identitySchema = z.object({
  user: meSchema.shape.user,
  organization: z.object({ id: z.int(), name: z.string() }).nullable(),
  apiUrl: z.string(),
  apiUrlSource: z.enum(["flag", "environment", "profile", "default"]),
  profile: z.string().nullable(),
  token: z.object({
    source: z.enum(["environment", "keyring", "file"]),
    ...meSchema.shape.token.omit({ expiresIn: true }).shape,
  }),
});

/** The sign-in with a token at a backend that does not tell whose it is (details.md, 37). */
const untoldIdentitySchema = z.object({
  user: z.null(),
  organization: z.object({ id: z.int() }),
  apiUrl: z.string(),
  profile: z.string(),
  token: z.object({ source: identitySchema.shape.token.shape.source }),
});

const profileSchema = z.object({
  name: z.string(),
  /** Whether it is used unless another is named. */
  active: z.boolean(),
  apiUrl: z.string(),
  organizationId: z.int().nullable(),
  email: z.string().nullable(),
  /** Whether a sign-in is kept for it. */
  signedIn: z.boolean(),
});

const readySchema = z.object({
  url: z.string(),
  organizationId: z.int(),
  admin: z.object({ email: z.string(), password: z.string() }).nullable(),
  token: z.string().nullable(),
  dataDir: z.string().nullable(),
  pid: z.int(),
});

/** What would be created: nothing that only a token that exists has. */
const plannedTokenSchema = z.object({
  ...createdTokenSchema.shape,
  id: z.null(),
  token: z.null(),
  createdBy: z.null(),
  dryRun: z.literal(true),
});

/** Who would be added: nothing that only a user who exists has. */
const plannedUserSchema = z.object({ ...userSchema.shape, idUser: z.null(), username: z.null(), uuid: z.null() });

/** What every command that adds users prints beside them; `purchase` is what was bought for them. */
const addingOutput = {
  purchase: purchaseSchema.nullable(),
  /** Those before it, whose licenses others took. */
  earlierPurchases: z.array(purchaseSchema).optional(),
  /** `null` only in a dry run whose token may not see them. */
  licenses: licenseCountsSchema.nullable(),
  dryRun: z.boolean(),
  /** What was assigned to those who were added, where the backend says so. */
  assignmentStrategy: assignmentStrategySchema.shape.assignmentStrategy.optional(),
  /** In a dry run, where licenses would be bought. */
  quote: verifiedQuoteSchema.optional(),
};

const helpSchema = z.union([
  z.array(z.object({ code: z.int(), meaning: z.string() })),
  z.array(z.object({ name: z.string(), meaning: z.string() })),
  z.object({ topic: z.string().nullable(), text: z.string() }),
]);

/**
 * What each command prints on stdout under `--json`, by the words that call it. The types that the commands work with,
 * the JSON Schemas in the package and the check of every end-to-end run are made from these.
 */
export const outputs = {
  login: z.union([identitySchema, untoldIdentitySchema]),
  logout: z.object({ profile: z.string(), removed: z.boolean(), revoked: z.boolean() }),
  whoami: identitySchema,
  status: subscriptionSchema,
  quote: z.union([verifiedQuoteSchema, z.array(verifiedQuoteSchema), forecastSchema]),
  buy: z.object(purchaseOutput),
  "top-up": z.object({
    target: licenseTargetSchema,
    /** How many licenses were missing when it was decided; purchases in progress count as there. */
    shortfall: z.int().nonnegative(),
    /** How many licenses the purchase added. */
    bought: z.int().nonnegative(),
    ...purchaseOutput,
    licenses: licenseCountsSchema,
  }),
  "licenses reduce": z.object({
    reduction: subscriptionSchema.shape.reduction,
    licenses: licenseCountsSchema,
    renewal: subscriptionSchema.shape.renewal,
    dryRun: z.boolean(),
  }),
  "purchases list": z.array(purchaseSchema),
  "purchases show": purchaseSchema,
  "purchases receipt": z.object({ ...receiptSchema.shape, pdf: z.string().optional() }),
  "purchases resume": z.object({
    resumed: z.array(purchaseSchema),
    notReceived: z.array(z.object({ idempotencyKey: z.string(), licenses: z.int() })),
    licenses: licenseCountsSchema,
  }),
  "purchases pay": z.object(purchaseOutput),
  "purchases cancel": z.object(purchaseOutput),
  "organizations list": meSchema.shape.organizations,
  "organizations accept": z.object({ ...membershipSchema.shape, accepted: z.literal(true) }),
  "organizations assignment-strategy": z.object({
    organizationId: z.int(),
    ...assignmentStrategySchema.shape,
  }),
  "users list": z.array(listedUserSchema),
  "users add": z.object({ user: z.union([userSchema, plannedUserSchema]).nullable(), ...addingOutput }),
  /** Emails as the file has them. */
  "users import": z.object({ added: z.array(z.string()), existing: z.array(z.string()), ...addingOutput }),
  "users remove": z.object({
    email: z.string(),
    idUser: z.int(),
    removed: z.boolean(),
    /** `null` where an answer was lost on the way, and in a dry run whose token may not see them. */
    licenses: licenseCountsSchema.nullable(),
    dryRun: z.boolean(),
  }),
  "tokens list": z.array(apiTokenSchema),
  "tokens create": z.union([createdTokenSchema, plannedTokenSchema]),
  "tokens revoke": z.object({ id: z.string(), revoked: z.boolean(), dryRun: z.literal(true).optional() }),
  "profiles list": z.array(profileSchema),
  "profiles use": z.object({ name: z.string(), active: z.literal(true) }),
  "profiles remove": z.object({ name: z.string(), removed: z.literal(true), revoked: z.boolean() }),
  sandbox: readySchema,
  "sandbox clock show": sandboxStateSchema,
  "sandbox clock advance": clockAnswerSchema,
  "sandbox reset": z.object({ dataDir: z.string(), reset: z.literal(true) }),
  help: helpSchema,
  completion: z.object({ shell: z.enum(SHELLS), script: z.string() }),
} as const satisfies Record<string, z.ZodType>;

/** A failure as `--json` prints it on stderr (cli.md, Output). */
export const errorOutput = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string().nullable(),
    exitCode: z.int(),
    requestId: z.string().nullable(),
    /** What is wrong with an input file; the first 100 of them. */
    problems: z.array(z.object({ line: z.int(), message: z.string() })).optional(),
  }),
});

/** A command that prints a result. */
export type OutputName = keyof typeof outputs;

/** What a command prints. */
export type Output<Name extends OutputName> = z.output<(typeof outputs)[Name]>;

/**
 * The JSON Schemas (draft 2020-12) of everything that the commands print under `--json`, by file name: the words of the
 * command joined by `-`, and `error` for what goes to stderr. Objects are open: later versions may add fields.
 */
export function outputSchemas(): Record<string, unknown> {
  const all = { ...outputs, error: errorOutput };
  return Object.fromEntries(
    Object.entries(all).map(([command, schema]) => [
      `${command.replaceAll(" ", "-")}.json`,
      { title: `secureflag-licenses ${command} --json`, ...z.toJSONSchema(schema, { io: "input" }) },
    ]),
  );
}
