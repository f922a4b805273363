import * as z from "zod";
import { dateSchema, licenseCountsSchema, moneySchema, paymentMethodSchema } from "../contract/basics.ts";
import { purchaseSchema, quoteSchema, receiptSchema, subscriptionSchema } from "../contract/billing.ts";
import { apiTokenSchema, createdTokenSchema, membershipSchema, meSchema } from "../contract/identity.ts";
import { MODES } from "../contract/mode.ts";
import { clockAnswerSchema, sandboxStateSchema } from "../contract/sandbox.ts";
import { assignmentStrategySchema } from "../contract/users.ts";
import { licenseTargetSchema } from "./buying/engine/wanted.ts";
import { SHELLS } from "./help/page.ts";
import { usersOutputs } from "./users/outputs.ts";

const verifiedQuoteSchema = z.object({ ...quoteSchema.shape, verified: z.literal(true) });

/** The price of licenses today and later. */
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

/** The output of every command that ends with one purchase. */
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
  livemode: z.boolean().nullable().describe("Whether payments move money; `null` if the backend leaves it out"),
  mode: z.enum(MODES).nullable().describe("`null` if the backend leaves it out"),
  apiUrl: z.string(),
  apiUrlSource: z.enum(["flag", "environment", "profile", "default"]),
  profile: z.string().nullable(),
  token: z.object({
    source: z.enum(["environment", "keyring", "file"]),
    ...meSchema.shape.token.omit({ expiresIn: true }).shape,
  }),
});

/** A sign-in with a token at a backend without `GET /me`. */
const anonymousIdentitySchema = z.object({
  user: z.null(),
  organization: z.object({ id: z.int() }),
  apiUrl: z.string(),
  profile: z.string(),
  token: z.object({ source: identitySchema.shape.token.shape.source }),
});

const profileSchema = z.object({
  name: z.string(),
  /** Whether it is used by default. */
  active: z.boolean(),
  apiUrl: z.string(),
  organizationId: z.int().nullable(),
  email: z.string().nullable(),
  /** Whether a sign-in is stored for it. */
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

/** The token that would be created, without the fields of an existing one. */
const plannedTokenSchema = z.object({
  ...createdTokenSchema.shape,
  id: z.null(),
  token: z.null(),
  createdBy: z.null(),
  dryRun: z.literal(true),
});

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

const helpSchema = z.union([
  z.array(z.object({ code: z.int(), meaning: z.string() })),
  z.array(z.object({ name: z.string(), meaning: z.string() })),
  z.object({ topic: z.string().nullable(), text: z.string() }),
]);

/**
 * The output of each command on stdout with `--json`, by the words that call it. The types of the commands, the JSON
 * Schemas of the package and the check of every end-to-end run derive from these.
 */
export const outputs = {
  login: z.union([identitySchema, anonymousIdentitySchema]),
  logout: z.object({ profile: z.string(), removed: z.boolean(), revoked: z.boolean() }),
  whoami: identitySchema,
  status: subscriptionSchema,
  quote: z.union([verifiedQuoteSchema, z.array(verifiedQuoteSchema), forecastSchema]),
  buy: z.object(purchaseOutput),
  "top-up": z.object({
    target: licenseTargetSchema,
    /** How many licenses were missing; purchases in progress count as there. */
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
  ...usersOutputs(verifiedQuoteSchema),
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
  help: helpSchema,
  completion: z.object({ shell: z.enum(SHELLS), script: z.string() }),
} as const satisfies Record<string, z.ZodType>;

/** A failure on stderr with `--json` (src/cli/README.md, Output). */
export const errorOutput = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string().nullable(),
    exitCode: z.int(),
    requestId: z.string().nullable(),
    /** The problems of an input file, 100 at most. */
    problems: z.array(z.object({ line: z.int(), message: z.string() })).optional(),
  }),
});

/** The words of a command that prints a result. */
export type OutputName = keyof typeof outputs;

/** The output of a command. */
export type Output<Name extends OutputName> = z.output<(typeof outputs)[Name]>;

/**
 * Generates the JSON Schemas (draft 2020-12) of the outputs by file name: the words of the command joined by `-`, and
 * `error` for stderr. Objects are open: later versions may add fields.
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
