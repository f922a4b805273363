import * as z from "zod";
import { instantSchema, moneySchema } from "./basics.ts";
import { SCOPES } from "./constants.ts";
import { spendLimitSchema } from "./identity.ts";

/** Where jobs of GitHub Actions get their identity tokens. */
const GITHUB_ISSUER = "https://token.actions.githubusercontent.com";

/** Where jobs of GitLab.com get them. */
const GITLAB_ISSUER = "https://gitlab.com";

/** Claims that are checked by themselves (RFC 7519, section 4.1), and so cannot be named in a trust. */
const REGISTERED = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/** The name of a trust, which requests and settings name it by. */
const trustNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][\w.-]{0,63}$/, "must be 1 to 64 letters, digits, dots, dashes or underscores");

/**
 * Names the claims that a trust lacks: names of repositories and projects can be registered again by somebody else, their
 * numbers cannot.
 *
 * @returns what is missing, to stand after "requires the claim"; `null` if nothing is
 */
function missingClaims(issuer: string, claims: Readonly<Record<string, string>>): string | null {
  const has = (name: string) => Object.hasOwn(claims, name);
  const isAt = (known: string) => URL.canParse(issuer) && new URL(issuer).host === new URL(known).host;
  if (isAt(GITHUB_ISSUER)) {
    if (!has("repository_id")) return "repository_id";
    return has("ref") || has("environment") ? null : "ref or environment";
  }
  if (isAt(GITLAB_ISSUER) || has("project_id")) {
    const name = ["project_id", "ref"].find((each) => !has(each));
    return name ?? (claims.ref_protected === "true" ? null : "ref_protected=true");
  }
  return has("sub") ? null : "sub";
}

const claimsSchema = z
  .record(z.string().regex(/^[^\0=]{1,100}$/), z.string().regex(/^[^\0]{1,500}$/))
  .refine((claims) => Object.keys(claims).length <= 20, "has at most 20 claims")
  .refine(
    (claims) => !Object.keys(claims).some((name) => REGISTERED.includes(name)),
    `cannot name ${REGISTERED.join(", ")}, which are checked anyway`,
  )
  .refine(
    (claims) => !Object.values(claims).some((value) => value.includes("*")),
    "must be exact values; * is no wildcard",
  );

/** An issuer is compared as text, so it is taken as it is written in its tokens. */
const issuerSchema = z
  .string()
  .max(500)
  .refine(
    (text) => URL.canParse(text) && /^https?:\/\/[^/?#@\s]+(\/[^?#\s]*)?$/.test(text),
    "must be the URL of an issuer such as https://token.actions.githubusercontent.com",
  );

/** The body of `POST …/trusts`. `spendLimit` is per calendar month of the billing time zone, tax included. */
export const addTrustRequestSchema = z
  .strictObject({
    name: trustNameSchema,
    issuer: issuerSchema,
    claims: claimsSchema,
    scopes: z.array(z.enum(SCOPES)).min(1),
    spendLimit: z.strictObject({ amount: moneySchema.nullish(), licenses: z.int().nonnegative().nullish() }).nullish(),
  })
  .superRefine(({ issuer, claims }, context) => {
    const missing = missingClaims(issuer, claims);
    if (missing === null) return;
    context.addIssue({ code: "custom", path: ["claims"], message: `requires the claim ${missing}` });
  });

/** A trust to add. */
export type AddTrustRequest = z.infer<typeof addTrustRequestSchema>;

/** A trust: whose identity tokens are exchanged for API tokens, with what scopes and limits. */
export const trustSchema = z.object({
  id: z.string(),
  name: z.string(),
  issuer: z.string(),
  claims: z.record(z.string(), z.string()),
  scopes: z.array(z.string()),
  createdAt: instantSchema.nullable(),
  spendLimit: spendLimitSchema.nullable(),
  createdBy: z.object({ email: z.string() }),
});

/** A trust, parsed. */
export type Trust = z.infer<typeof trustSchema>;
