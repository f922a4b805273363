import * as z from "zod";
import { instantSchema, moneySchema, writtenTextSchema } from "./basics.ts";
import { SCOPES, TOKEN_DAYS } from "./scopes.ts";

/** `POST /auth/login`. Secrets are at most 1 KB (security.md). */
export const loginRequestSchema = z.strictObject({
  email: writtenTextSchema(320),
  password: z.string().min(1).max(1024),
});

/** A pair of session tokens (details.md, 15). `expiresIn` counts seconds of the access token. */
export const sessionSchema = z.object({
  status: z.literal("signed_in"),
  accessToken: z.string().min(1),
  refreshToken: z.string().min(1),
  tokenType: z.literal("Bearer"),
  expiresIn: z.int().positive(),
  scopes: z.array(z.string()),
});

/** A pair of session tokens, as it travels. */
export type SessionTokens = z.infer<typeof sessionSchema>;

/** The password was right and a one-time code is asked for. */
const mfaRequiredSchema = z.object({
  status: z.literal("mfa_required"),
  challenge: z.string().min(1),
  methods: z.array(z.string()),
});

/** The answer to a right password. */
export const loginAnswerSchema = z.discriminatedUnion("status", [sessionSchema, mfaRequiredSchema]);

/** A one-time code as it is typed. One of another shape is a wrong code. */
const codeSchema = z.string().min(1).max(32);

/** `POST /auth/mfa`. A wrong code leaves the challenge usable: 5 tries, 5 minutes (details.md, 15). */
export const mfaRequestSchema = z.strictObject({ challenge: z.string().min(1).max(256), code: codeSchema });

/** `POST /auth/step-up` (details.md, 17). */
export const stepUpRequestSchema = z.strictObject({ code: codeSchema });

/** The client id of this package's command line (RFC 8628, section 3.1). */
export const CLIENT_ID = "secureflag-licenses";

const clientIdSchema = z.string().regex(/^[\x21-\x7e]{1,100}$/);

/** The grant type of RFC 8628, section 3.4. */
export const DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code";

/** `POST /oauth/device_authorization`, form-encoded (RFC 8628, section 3.1). */
export const deviceAuthorizationRequestSchema = z.strictObject({
  client_id: clientIdSchema,
  scope: z.string().max(1024).optional(),
});

/** The answer of `POST /oauth/device_authorization` (RFC 8628, section 3.2). Times in seconds. */
export const deviceAuthorizationSchema = z.object({
  device_code: z.string().min(1),
  user_code: z.string().min(1),
  verification_uri: z.string().min(1),
  verification_uri_complete: z.string().min(1).optional(),
  expires_in: z.int().positive(),
  interval: z.int().positive().optional(),
});

/** A device authorization, as it travels. */
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

/** `POST /oauth/token`, form-encoded: the refresh grant of RFC 6749, section 6, and the device grant of RFC 8628. */
export const tokenRequestSchema = z.discriminatedUnion("grant_type", [refreshGrantSchema, deviceGrantSchema]);

/** The answer of `POST /oauth/token` (RFC 6749, section 5.1). */
export const tokenAnswerSchema = z.object({
  access_token: z.string().min(1),
  refresh_token: z.string().min(1),
  token_type: z.literal("Bearer"),
  expires_in: z.int().positive(),
  scope: z.string(),
});

/** `POST /oauth/revoke`, form-encoded (RFC 7009). */
export const revokeRequestSchema = z.strictObject({
  token: z.string().min(1).max(1024),
  token_type_hint: z.string().optional(),
});

/** An error under `/oauth` (RFC 6749, section 5.2). */
export const oauthErrorSchema = z.object({ error: z.string(), error_description: z.string().optional() });

/** What a token may spend in a calendar month of the billing zone, and what is left of it; `null` is no limit. */
export const spendLimitSchema = z.object({
  amount: moneySchema.nullable(),
  amountLeft: moneySchema.nullable(),
  licenses: z.int().nullable(),
  licensesLeft: z.int().nullable(),
});

/** `POST …/tokens`. `spendLimit` is for a calendar month of the billing zone, its amount in minor units, tax included. */
export const createTokenRequestSchema = z.strictObject({
  name: writtenTextSchema(100),
  scopes: z.array(z.enum(SCOPES)).min(1),
  expiresInDays: z.int().min(1).max(TOKEN_DAYS.longest).optional(),
  spendLimit: z.strictObject({ amount: moneySchema.nullish(), licenses: z.int().nonnegative().nullish() }).nullish(),
});

/** What an API token is made of, as it travels to the backend. */
export type CreateTokenRequest = z.infer<typeof createTokenRequestSchema>;

/** An API token; its secret is shown once, when it is created. `expiresIn` counts seconds from now, 0 once it is over. */
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

/** An API token, as it travels. */
export type ApiToken = z.infer<typeof apiTokenSchema>;

/** The answer to `POST …/tokens`: the only time that the secret itself is shown. */
export const createdTokenSchema = z.object({ ...apiTokenSchema.shape, token: z.string().min(1) });

/** A new API token with its secret, as it travels. */
export type CreatedToken = z.infer<typeof createdTokenSchema>;

/** An organization as one of its people sees it. */
export const membershipSchema = z.object({ id: z.int(), name: z.string(), role: z.int() });

/** `GET /me`. `invitations` grant nothing until they are accepted; an API token gets none. `expiresIn` counts seconds from now, because a client's clock may be wrong (details.md, 26). */
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
});

/** Who a token belongs to, as it travels. */
export type Me = z.infer<typeof meSchema>;
