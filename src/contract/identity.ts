import * as z from "zod";
import { freeTextSchema, instantSchema, modeShape, moneySchema } from "./basics.ts";
import { MAX_TOKEN_DAYS, SCOPES, TRUST_PREFIX } from "./constants.ts";

/** The body of `POST /auth/login`. Secrets have at most 1 KiB. */
export const loginRequestSchema = z.strictObject({
  email: freeTextSchema(320),
  password: z.string().min(1).max(1024),
});

/** A pair of session tokens. `expiresIn` is the lifetime of the access token in seconds. */
export const sessionSchema = z.object({
  status: z.literal("signed_in"),
  accessToken: z.string().min(1),
  refreshToken: z.string().min(1),
  tokenType: z.literal("Bearer"),
  expiresIn: z.int().positive(),
  scopes: z.array(z.string()),
});

/** A pair of session tokens, parsed. */
export type SessionTokens = z.infer<typeof sessionSchema>;

/** The password is right and a one-time code is required. */
const mfaRequiredSchema = z.object({
  status: z.literal("mfa_required"),
  challenge: z.string().min(1),
  methods: z.array(z.string()),
});

/** The answer to `POST /auth/login`. */
export const loginAnswerSchema = z.discriminatedUnion("status", [sessionSchema, mfaRequiredSchema]);

/** A one-time code as typed. One of another shape is a wrong code, not an invalid request. */
const codeSchema = z.string().min(1).max(32);

/** The body of `POST /auth/mfa`. A challenge lasts 5 minutes and 5 tries. */
export const mfaRequestSchema = z.strictObject({ challenge: z.string().min(1).max(256), code: codeSchema });

/** The body of `POST /auth/step-up`. */
export const stepUpRequestSchema = z.strictObject({ code: codeSchema });

/** The client ID of this package's CLI (RFC 8628, section 3.1). */
export const CLIENT_ID = "secureflag-licenses";

const clientIdSchema = z.string().regex(/^[\x21-\x7e]{1,100}$/);

/** The grant type of RFC 8628, section 3.4. */
export const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

/** The body of `POST /oauth/device_authorization`, form-encoded (RFC 8628, section 3.1). */
export const deviceAuthorizationRequestSchema = z.strictObject({
  client_id: clientIdSchema,
  scope: z.string().max(1024).optional(),
});

/** The answer to `POST /oauth/device_authorization` (RFC 8628, section 3.2). Durations are in seconds. */
export const deviceAuthorizationSchema = z.object({
  device_code: z.string().min(1),
  user_code: z.string().min(1),
  verification_uri: z.string().min(1),
  verification_uri_complete: z.string().min(1).optional(),
  expires_in: z.int().positive(),
  interval: z.int().positive().optional(),
});

/** A device authorization, parsed. */
export type DeviceAuthorization = z.infer<typeof deviceAuthorizationSchema>;

const refreshGrantSchema = z.strictObject({
  grant_type: z.literal("refresh_token"),
  refresh_token: z.string().min(1).max(1024),
  client_id: clientIdSchema.optional(),
});

const deviceGrantSchema = z.strictObject({
  grant_type: z.literal(DEVICE_GRANT),
  device_code: z.string().min(1).max(1024),
  client_id: clientIdSchema,
});

/** The grant type of RFC 8693, section 2.1. */
export const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";

/** The type of an identity token that is exchanged (RFC 8693, section 3). */
export const JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt";

/** The type of the token that it is exchanged for (RFC 8693, section 3). */
export const ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token";

/** An exchange (RFC 8693, section 2.1). `organization`, by number, and `trust` name the trust that allows it. */
const exchangeGrantSchema = z.strictObject({
  grant_type: z.literal(TOKEN_EXCHANGE),
  subject_token: z.string().min(1).max(16_384),
  subject_token_type: z.literal(JWT_TYPE),
  requested_token_type: z.literal(ACCESS_TOKEN_TYPE).optional(),
  organization: z.string().regex(/^(0|[1-9]\d{0,9})$/),
  trust: freeTextSchema(100),
});

/**
 * The body of `POST /oauth/token`, form-encoded: a refresh (RFC 6749, section 6), a device grant (RFC 8628), or the exchange
 * of an identity token (RFC 8693).
 */
export const tokenRequestSchema = z.discriminatedUnion("grant_type", [
  refreshGrantSchema,
  deviceGrantSchema,
  exchangeGrantSchema,
]);

/** The answer to a refresh or a device grant (RFC 6749, section 5.1). */
export const tokenAnswerSchema = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1),
  token_type: z.literal("Bearer"),
  expires_in: z.int().positive(),
  scope: z.string(),
});

/** The answer to an exchange (RFC 8693, section 2.2.1). */
export const exchangeAnswerSchema = z.object({
  access_token: z.string().min(1),
  issued_token_type: z.literal(ACCESS_TOKEN_TYPE),
  token_type: z.literal("Bearer"),
  expires_in: z.int().positive(),
  scope: z.string(),
});

/** A token that an identity token was exchanged for. `expires_in` is in seconds. */
export type ExchangeAnswer = z.infer<typeof exchangeAnswerSchema>;

/** The body of `POST /oauth/revoke`, form-encoded (RFC 7009, section 2.1). */
export const revokeRequestSchema = z.strictObject({
  token: z.string().min(1).max(1024),
  token_type_hint: z.string().optional(),
});

/** An error under `/oauth` (RFC 6749, section 5.2). */
export const oauthErrorSchema = z.object({ error: z.string(), error_description: z.string().optional() });

/** What a token may spend in a calendar month of the billing time zone, and what is left; `null` is no limit. */
export const spendLimitSchema = z.object({
  amount: moneySchema.nullable(),
  amountLeft: moneySchema.nullable(),
  licenses: z.int().nullable(),
  licensesLeft: z.int().nullable(),
});

/** The body of `POST …/tokens`. `spendLimit` is per calendar month of the billing time zone, tax included. */
export const createTokenRequestSchema = z.strictObject({
  name: freeTextSchema(100).refine((name) => !name.startsWith(TRUST_PREFIX), `must not begin with ${TRUST_PREFIX}`),
  scopes: z.array(z.enum(SCOPES)).min(1),
  expiresInDays: z.int().min(1).max(MAX_TOKEN_DAYS).optional(),
  spendLimit: z.strictObject({ amount: moneySchema.nullish(), licenses: z.int().nonnegative().nullish() }).nullish(),
});

/** An API token to create. */
export type CreateTokenRequest = z.infer<typeof createTokenRequestSchema>;

/** An API token without its secret. `expiresIn` is in seconds from now, 0 once it has expired. */
export const apiTokenSchema = z.object({
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  createdAt: instantSchema.nullable(),
  expiresAt: instantSchema.nullable(),
  expiresIn: z.int().nonnegative().nullable(),
  last4: z.string().nullable(),
  spendLimit: spendLimitSchema.nullable(),
  createdBy: z.object({ email: z.string() }),
});

/** An API token, parsed. */
export type ApiToken = z.infer<typeof apiTokenSchema>;

/** The answer to `POST …/tokens`, the only one with the secret. */
export const createdTokenSchema = z.object({ ...apiTokenSchema.shape, token: z.string().min(1) });

/** A new API token with its secret, parsed. */
export type CreatedToken = z.infer<typeof createdTokenSchema>;

/** An organization and the person's role in it. */
export const membershipSchema = z.object({ id: z.int(), name: z.string(), role: z.int() });

/**
 * The answer to `GET /me`. Invitations grant nothing until they are accepted, and API tokens do not see them. `expiresIn`
 * is in seconds from now, because a client's clock may be wrong.
 */
export const meSchema = z.object({
  user: z.object({ email: z.string(), role: z.int(), roleName: z.string() }),
  organizations: z.array(membershipSchema),
  invitations: z.array(membershipSchema).optional(),
  token: z.object({
    name: z.string().nullable(),
    scopes: z.array(z.string()),
    expiresAt: instantSchema.nullable(),
    expiresIn: z.int().nonnegative().nullable().optional(),
    last4: z.string(),
    spendLimit: spendLimitSchema.nullable(),
  }),
  ...modeShape,
});

/** Who a token belongs to, parsed. */
export type Me = z.infer<typeof meSchema>;
