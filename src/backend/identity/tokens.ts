import { crc32 } from "node:zlib";
import type { FastifyInstance } from "fastify";
import { money } from "../../billing/money.ts";
import { DEFAULT_TOKEN_DAYS, SCOPES } from "../../contract/constants.ts";
import type { ApiToken, CreatedToken, CreateTokenRequest } from "../../contract/identity.ts";
import type { ApiTokenRow, OrganizationSubscription, UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { type Membership, type RouteDeps, register } from "../http/register.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { hashToken } from "./secrets.ts";
import { readSpent, readSpentByToken, type Spent } from "./spending.ts";
import { type ApiTokenWithCreator, listApiTokens, revokeToken, saveApiToken } from "./tokenStore.ts";

const DAY_MS = 86_400_000;

/** The largest count that fits the column. */
const MAX_LICENSES = 2 ** 31 - 1;

/**
 * Creates an API token of an organization. The answer contains its secret, which is not stored.
 *
 * @param subscription the organization's
 * @param user the creator, on whose behalf the token acts
 * @throws BackendError `invalid_request` for an invalid limit, or if there are too many tokens
 */
export async function createApiToken(
  deps: Pick<BackendDeps, "database" | "now" | "clock" | "random">,
  subscription: OrganizationSubscription,
  user: UserRow,
  request: CreateTokenRequest,
): Promise<CreatedToken> {
  const secret = newSecret(deps.random);
  const now = deps.now();
  const row = {
    id: `tok_${deps.random(12).toString("hex")}`,
    organization_id: subscription.organization_id,
    user_id: user.id,
    name: request.name,
    scopes_json: JSON.stringify(SCOPES.filter((scope) => request.scopes.includes(scope))),
    created_at: now,
    expires_at: now + (request.expiresInDays ?? DEFAULT_TOKEN_DAYS) * DAY_MS,
    revoked_at: null,
    ...limitsOf(request, subscription.currency),
    last4: secret.slice(-4),
    trust_json: null,
  };
  await saveApiToken(deps.database, row, hashToken(secret), { actor: user.email, at: deps.clock.now(), now });
  const spendLimit = tokenLimit(row, NOTHING_SPENT, subscription.currency);
  return { ...tokenView({ ...row, email: user.email }, spendLimit, now), token: secret };
}

/** Creates `sfl_`, 256 random bits, and a CRC-32 of both, by which scanners recognize a leaked token. */
export function newSecret(random: (bytes: number) => Buffer): string {
  const body = `sfl_${random(32).toString("base64url")}`;
  return body + crc32(body).toString(16).padStart(8, "0");
}

/**
 * Returns the columns of a spending limit.
 *
 * @throws BackendError `invalid_request`
 */
export function limitsOf({ spendLimit }: Pick<CreateTokenRequest, "spendLimit">, currency: string) {
  const { amount = null, licenses = null } = spendLimit ?? {};
  if (amount !== null && amount.currency !== currency) {
    throw invalid("spendLimit.amount.currency", `must be ${currency}, the currency of the subscription`);
  }
  if (amount !== null && amount.amount < 0) throw invalid("spendLimit.amount.amount", "must not be negative");
  if (licenses !== null && licenses > MAX_LICENSES) {
    throw invalid("spendLimit.licenses", `must be at most ${MAX_LICENSES}`);
  }
  return { limit_amount: amount?.amount ?? null, limit_licenses: licenses };
}

function invalid(path: string, message: string): BackendError {
  return new BackendError("invalid_request", `The request is not valid: ${path}: ${message}`, {
    errors: [{ path, message }],
  });
}

/** Returns an API token as the contract shows it, with what is left of its limits this month; `now` by the machine's clock. */
function tokenView(token: ApiTokenWithCreator, spendLimit: ApiToken["spendLimit"], now: number): ApiToken {
  return {
    id: token.id,
    name: token.name,
    scopes: JSON.parse(token.scopes_json) as string[],
    createdAt: token.created_at === null ? null : new Date(token.created_at).toISOString(),
    ...lifeOf(token.expires_at, now),
    last4: token.last4,
    spendLimit,
    createdBy: { email: token.email },
  };
}

/** Returns when a token expires, and in how many seconds, rounded up and at least 0; `null` for never. Machine clock. */
export function lifeOf(expiresAt: number | null, now: number): Pick<ApiToken, "expiresAt" | "expiresIn"> {
  if (expiresAt === null) return { expiresAt: null, expiresIn: null };
  return {
    expiresAt: new Date(expiresAt).toISOString(),
    expiresIn: Math.max(0, Math.ceil((expiresAt - now) / 1000)),
  };
}

/** Returns a token's spending limit and what is left of it in this month of the billing zone; `null` without a limit. */
export async function spendLimitOf(
  deps: Pick<BackendDeps, "database" | "clock">,
  token: ApiTokenRow,
): Promise<ApiToken["spendLimit"]> {
  if (token.limit_amount === null && token.limit_licenses === null) return null;
  const { currency, time_zone: timeZone } = await readSubscription(deps.database, token.organization_id);
  return tokenLimit(token, await readSpent(deps.database, token, { timeZone, at: deps.clock.now() }), currency);
}

type Limits = Pick<ApiTokenRow, "limit_amount" | "limit_licenses">;

/** Returns a limit and what is left of it; `null` without one. */
export function tokenLimit(
  { limit_amount: amount, limit_licenses: licenses }: Limits,
  spent: Spent,
  currency: string,
): ApiToken["spendLimit"] {
  if (amount === null && licenses === null) return null;
  return {
    amount: amount === null ? null : money(amount, currency),
    amountLeft: amount === null ? null : money(Math.max(0, amount - spent.amount), currency),
    licenses,
    licensesLeft: licenses === null ? null : Math.max(0, licenses - spent.licenses),
  };
}

/** What a new token has spent. */
export const NOTHING_SPENT: Spent = { amount: 0, licenses: 0 };

/** Lists the tokens, or the trusts, of an organization with their limits, newest first. */
export async function limitedTokens(
  deps: Pick<BackendDeps, "database" | "clock">,
  { subscription }: Membership,
  kind: "token" | "trust",
): Promise<{ row: ApiTokenWithCreator; spendLimit: ApiToken["spendLimit"] }[]> {
  const { organization_id: id, currency, time_zone: timeZone } = subscription;
  const rows = await listApiTokens(deps.database, id, kind);
  const isLimited = rows.some((row) => row.limit_amount !== null || row.limit_licenses !== null);
  const month = { timeZone, at: deps.clock.now() };
  const spent = isLimited ? await readSpentByToken(deps.database, id, month) : new Map<string, Spent>();
  return rows.map((row) => ({ row, spendLimit: tokenLimit(row, spent.get(row.id) ?? NOTHING_SPENT, currency) }));
}

/** Registers the calls that list, create and revoke API tokens. */
export function registerTokens(app: FastifyInstance, deps: RouteDeps): void {
  register(app, deps, "listTokens", async ({ organization }) => {
    const tokens = await limitedTokens(deps, organization, "token");
    const items = tokens.map(({ row, spendLimit }) => tokenView(row, spendLimit, deps.now()));
    return { status: 200, body: { items, next: null } };
  });

  register(app, deps, "createToken", async ({ organization, identity, body }) => ({
    status: 201,
    body: await createApiToken(deps, organization.subscription, identity.user, body),
  }));

  register(app, deps, "revokeApiToken", async ({ organization, identity, params }) => {
    const token = { id: params.tokenId, organizationId: organization.id, kind: "token" } as const;
    await revokeToken(deps.database, token, { actor: identity.user.email, at: deps.clock.now() }, deps.now());
    return { status: 204, body: null };
  });
}
