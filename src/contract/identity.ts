import { z } from "zod";
import { instantSchema, moneySchema, writtenTextSchema } from "./basics.ts";

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

/** `POST /oauth/token`, form-encoded: the refresh grant of RFC 6749, section 6. */
export const tokenRequestSchema = z.strictObject({
  grant_type: z.literal("refresh_token"),
  refresh_token: z.string().min(1).max(1024),
});

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

/** `GET /me`. */
export const meSchema = z.object({
  user: z.object({ email: z.string(), role: z.int(), roleName: z.string() }),
  organizations: z.array(z.object({ id: z.int(), name: z.string(), role: z.int() })),
  token: z.object({
    name: z.string().nullable(),
    scopes: z.array(z.string()),
    expiresAt: instantSchema.nullable(),
    last4: z.string(),
    spendLimit: spendLimitSchema.nullable(),
  }),
});

/** Who a token belongs to, as it travels. */
export type Me = z.infer<typeof meSchema>;
