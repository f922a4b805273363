import { crc32 } from "node:zlib";
import type { CreatedToken, CreateTokenRequest } from "../../contract/identity.ts";
import { SCOPES, TOKEN_DAYS } from "../../contract/scopes.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../problem.ts";
import type { UserRow } from "../store/schema.ts";
import { readSubscription } from "../store/subscriptions.ts";
import { saveApiToken } from "../store/tokens.ts";
import { hashToken } from "./secrets.ts";
import { tokenView } from "./tokenView.ts";

const DAY_MS = 86_400_000;
/** The largest count that the store keeps. */
const MOST_LICENSES = 2 ** 31 - 1;

/**
 * Creates an API token of an organization. Its secret is in the answer and nowhere else (security.md, Signing in).
 *
 * @param user who creates it and answers for it
 * @throws ProblemError `invalid_request` for a limit that cannot be kept, or with too many tokens
 */
export async function createApiToken(
  deps: Pick<BackendDeps, "database" | "now" | "clock" | "random">,
  organizationId: number,
  user: UserRow,
  request: CreateTokenRequest,
): Promise<CreatedToken> {
  const secret = newSecret(deps.random);
  const now = deps.now();
  const { currency } = await readSubscription(deps.database, organizationId);
  const row = {
    id: `tok_${deps.random(12).toString("hex")}`,
    organization_id: organizationId,
    user_id: user.id,
    name: request.name,
    token_hash: hashToken(secret),
    scopes_json: JSON.stringify(SCOPES.filter((scope) => request.scopes.includes(scope))),
    created_at: now,
    expires_at: now + (request.expiresInDays ?? TOKEN_DAYS.usual) * DAY_MS,
    revoked_at: null,
    ...limitsOf(request, currency),
    last4: secret.slice(-4),
  };
  await saveApiToken(deps.database, row, { actor: user.email, at: deps.clock.now() }, now);
  return { ...(await tokenView(deps, { ...row, email: user.email })), token: secret };
}

/** `sfl_`, 256 random bits, and a CRC-32 of both, by which scanners tell a leaked token from a lookalike. */
function newSecret(random: (bytes: number) => Buffer): string {
  const body = `sfl_${random(32).toString("base64url")}`;
  return body + crc32(body).toString(16).padStart(8, "0");
}

function limitsOf({ spendLimit }: CreateTokenRequest, currency: string) {
  const { amount = null, licenses = null } = spendLimit ?? {};
  if (amount !== null && amount.currency !== currency) {
    throw invalid("spendLimit.amount.currency", `is not ${currency}, the currency of the subscription`);
  }
  if (amount !== null && amount.amount < 0) throw invalid("spendLimit.amount.amount", "is less than 0");
  if (licenses !== null && licenses > MOST_LICENSES) {
    throw invalid("spendLimit.licenses", `is more than ${MOST_LICENSES}`);
  }
  return { limit_amount: amount?.amount ?? null, limit_licenses: licenses };
}

function invalid(path: string, message: string): ProblemError {
  return new ProblemError("invalid_request", `The request is not valid: ${path}: ${message}`, {
    errors: [{ path, message }],
  });
}
