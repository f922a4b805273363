import { decodeJwt, errors, type JWTPayload, jwtVerify } from "jose";
import { BackendError } from "../errors.ts";
import type { IssuerKeys } from "./issuerKeys.ts";

/** What an identity token must say: its issuer, and claims by name, each as text. */
export interface TrustRule {
  readonly issuer: string;
  readonly claims: Readonly<Record<string, string>>;
}

/** Signatures that the verifier itself could not have made. */
const ALGORITHMS = ["RS256", "ES256", "EdDSA"];

const SKEW_SECONDS = 60;

/** How long after it was issued a token can be exchanged, within its own life. */
const MAX_AGE = "1h";

/** What came of verifying a token: its claims, or why it is refused, in words of our own. */
export type Verified = { readonly claims: JWTPayload } | { readonly refusal: string };

/**
 * Verifies an identity token (RFC 7519, section 7.2) and compares it with a rule. Its audience is exactly one.
 *
 * @param now the machine's clock, milliseconds
 * @throws BackendError `unavailable` if the issuer's keys cannot be read
 */
export async function verifyIdentityToken(
  keys: IssuerKeys,
  token: string,
  { issuer, claims: required }: TrustRule,
  { audience, now }: { audience: string; now: number },
): Promise<Verified> {
  try {
    // So that no token makes the keys of another issuer be read.
    if (decodeJwt(token).iss !== issuer) return { refusal: "another issuer" };
    const options = {
      algorithms: ALGORITHMS,
      issuer,
      audience,
      requiredClaims: ["exp"],
      maxTokenAge: MAX_AGE,
      clockTolerance: SKEW_SECONDS,
      currentDate: new Date(now),
    };
    const known = await keys.read(issuer);
    const verified = await jwtVerify(token, known, options).catch(async (error: unknown) => {
      // The issuer may have new keys.
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      return jwtVerify(token, await keys.read(issuer, known), options);
    });
    const { payload } = verified;
    if (Array.isArray(payload.aud) && payload.aud.length !== 1) return { refusal: "more than one audience" };
    const unlike = Object.entries(required).find(([name, value]) => textOf(payload, name) !== value);
    return unlike ? { refusal: `the claim ${unlike[0]} is not ${unlike[1]}` } : { claims: payload };
  } catch (error) {
    if (error instanceof BackendError) throw error;
    return { refusal: wordsOf(error) };
  }
}

/** The claims of a token that the library checks. */
const CHECKED = ["aud", "exp", "iat", "iss", "nbf"];

/**
 * Says what the library found, in words of our own: its messages repeat parts of a token that anybody could have made, and
 * the audit log keeps them.
 */
function wordsOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return "it has expired";
  if (error instanceof errors.JWTClaimValidationFailed) {
    return CHECKED.includes(error.claim)
      ? `the claim ${error.claim} is missing or wrong`
      : "a claim is missing or wrong";
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return "its signature is not valid";
  if (error instanceof errors.JWKSNoMatchingKey) return "the issuer has no such key";
  if (error instanceof errors.JOSEAlgNotAllowed) return "its algorithm is not allowed";
  return "it is not a valid identity token";
}

/** A claim as text; `null` if it is missing, or a number that is not exact in JSON. */
function textOf(payload: JWTPayload, name: string): string | null {
  const value = Object.hasOwn(payload, name) ? payload[name] : null;
  if (typeof value === "number") return Number.isSafeInteger(value) ? String(value) : null;
  return typeof value === "string" || typeof value === "boolean" ? String(value) : null;
}
