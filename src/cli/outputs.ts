import * as z from "zod";
import { dateSchema, licenseCountsSchema, moneySchema } from "../contract/basics.ts";
import {
  creditNoteSchema,
  purchaseSchema,
  quoteSchema,
  receiptSchema,
  storedPaymentMethodSchema,
  subscriptionSchema,
} from "../contract/billing.ts";
import { billingDetailsSchema } from "../contract/billingDetails.ts";
import { apiTokenSchema, createdTokenSchema, membershipSchema, meSchema } from "../contract/identity.ts";
import { MODES } from "../contract/mode.ts";
import { budgetStateSchema, pendingChangeSchema, policySchema } from "../contract/policy.ts";
import { reportSchema } from "../contract/report.ts";
import { clockAnswerSchema, sandboxStateSchema } from "../contract/sandbox.ts";
import { trustSchema } from "../contract/trusts.ts";
import { assignmentStrategySchema } from "../contract/users.ts";
import { licenseTargetSchema } from "./buying/engine/wanted.ts";
import { eventsOutputs } from "./events/outputs.ts";
import { SHELLS } from "./help/page.ts";
import { serviceOutputs } from "./service/outputs.ts";
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
    source: z.enum(["environment", "token_file", "keyring", "file", "trust"]),
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

/** The trust that would be added, without the fields of an existing one. */
const plannedTrustSchema = z.object({
  ...trustSchema.shape,
  id: z.null(),
  createdAt: z.null(),
  createdBy: z.null(),
  dryRun: z.literal(true),
});

const billingOutput = z.object({ organizationId: z.int(), ...billingDetailsSchema.shape });

/** The policy; in a dry run as it would be, with the change that would wait, without the fields of an existing one. */
const setPolicyOutput = z.object({
  ...policySchema.shape,
  budget: z
    .object({
      ...budgetStateSchema.shape,
      /** `null` in a dry run of a first budget. */
      spent: moneySchema.nullable(),
      left: moneySchema.nullable(),
    })
    .nullable(),
  pending: z.array(
    z.union([pendingChangeSchema, z.object({ ...pendingChangeSchema.shape, id: z.null(), requestedAt: z.null() })]),
  ),
  dryRun: z.boolean(),
});

/** A receipt or a credit note of an export. */
const exportedSchema = z.object({
  number: z.string(),
  /** When it was issued, in the billing time zone. */
  date: dateSchema,
  kind: z.enum(["receipt", "credit_note"]),
  purchaseId: z.string(),
  licenses: z.int(),
  net: moneySchema,
  tax: moneySchema,
  total: moneySchema,
  purchaseOrder: z.string().nullable(),
  /** Its name in the directory; `null` if the backend has no font for it. */
  file: z.string().nullable(),
  sha256: z.string().nullable(),
  /** Whether it was there before. */
  existed: z.boolean(),
});

const helpSchema = z.union([
  z.array(z.object({ command: z.string(), id: z.string() })),
  z.array(z.object({ code: z.int(), meaning: z.string() })),
  z.array(z.object({ name: z.string(), meaning: z.string() })),
  z.object({ topic: z.string().nullable(), text: z.string() }),
  z.looseObject({ $schema: z.string(), $id: z.string(), title: z.string() }),
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
  report: reportSchema,
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
  "purchases receipt": z.union([
    z.object({ ...receiptSchema.shape, pdf: z.string().optional() }),
    z.object({ ...creditNoteSchema.shape, pdf: z.string().optional() }),
  ]),
  "purchases export": z.object({
    dir: z.string(),
    from: dateSchema,
    to: dateSchema,
    documents: z.array(exportedSchema),
  }),
  "purchases resume": z.object({
    resumed: z.array(purchaseSchema),
    notReceived: z.array(z.object({ idempotencyKey: z.string(), licenses: z.int() })),
    licenses: licenseCountsSchema,
  }),
  "purchases pay": z.object(purchaseOutput),
  "purchases cancel": z.object(purchaseOutput),
  "purchases approve": z.object(purchaseOutput),
  "purchases reject": z.object(purchaseOutput),
  ...eventsOutputs,
  "organizations list": meSchema.shape.organizations,
  "organizations accept": z.object({ ...membershipSchema.shape, accepted: z.literal(true) }),
  "organizations assignment-strategy": z.object({
    organizationId: z.int(),
    ...assignmentStrategySchema.shape,
  }),
  "organizations payment-method": z.object({ organizationId: z.int(), ...storedPaymentMethodSchema.shape }),
  "organizations policy": policySchema,
  "organizations policy set": setPolicyOutput,
  "organizations policy approve": z.object({
    approved: pendingChangeSchema,
    ...policySchema.shape,
    dryRun: z.boolean(),
  }),
  "organizations policy reject": z.object({
    rejected: pendingChangeSchema,
    ...policySchema.shape,
    dryRun: z.boolean(),
  }),
  "organizations billing": billingOutput,
  "organizations billing set": billingOutput,
  ...usersOutputs(verifiedQuoteSchema),
  "tokens list": z.array(apiTokenSchema),
  "tokens create": z.union([createdTokenSchema, plannedTokenSchema]),
  "tokens revoke": z.object({ id: z.string(), revoked: z.boolean(), dryRun: z.literal(true).optional() }),
  "tokens trust list": z.array(trustSchema),
  "tokens trust add": z.union([trustSchema, plannedTrustSchema]),
  "tokens trust remove": z.object({
    id: z.string(),
    name: z.string(),
    removed: z.boolean(),
    dryRun: z.literal(true).optional(),
  }),
  "profiles list": z.array(profileSchema),
  "profiles use": z.object({ name: z.string(), active: z.literal(true) }),
  "profiles remove": z.object({ name: z.string(), removed: z.literal(true), revoked: z.boolean() }),
  sandbox: readySchema,
  "sandbox clock show": sandboxStateSchema,
  "sandbox clock advance": clockAnswerSchema,
  "sandbox reset": z.object({ dataDir: z.string(), reset: z.literal(true) }),
  ...serviceOutputs,
  /** The body of the response, `null` for none. */
  api: z.unknown(),
  help: helpSchema,
  version: z.object({
    version: z.string(),
    node: z.string().describe("The version of Node.js"),
    platform: z.string(),
    arch: z.string(),
  }),
  completion: z.union([
    z.object({ shell: z.enum(SHELLS), script: z.string() }),
    z.object({ shell: z.enum(SHELLS), files: z.array(z.string()), installed: z.boolean() }),
  ]),
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
