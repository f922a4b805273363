import type { FastifyInstance } from "fastify";
import { SCOPES, TRUST_PREFIX } from "../../contract/constants.ts";
import type { AddTrustRequest, Trust } from "../../contract/trusts.ts";
import type { OrganizationSubscription, UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { type RouteDeps, register } from "../http/register.ts";
import type { TrustRule } from "./identityToken.ts";
import { type ApiTokenWithCreator, revokeToken, saveApiToken } from "./tokenStore.ts";
import { limitedTokens, limitsOf, NOTHING_SPENT, tokenLimit } from "./tokens.ts";

/**
 * Adds a trust to an organization.
 *
 * @param user the creator, on whose behalf its tokens act
 * @throws BackendError `invalid_request` for an issuer or a limit that is not allowed, a name that is taken, or if there are
 *   too many
 */
async function addTrust(
  deps: BackendDeps,
  subscription: OrganizationSubscription,
  user: UserRow,
  request: AddTrustRequest,
): Promise<Trust> {
  const { issuer, claims } = request;
  await assertIssuerAllowed(deps, issuer);
  const now = deps.now();
  const row = {
    id: `tru_${deps.random(12).toString("hex")}`,
    organization_id: subscription.organization_id,
    user_id: user.id,
    name: TRUST_PREFIX + request.name,
    scopes_json: JSON.stringify(SCOPES.filter((scope) => request.scopes.includes(scope))),
    created_at: now,
    expires_at: null,
    revoked_at: null,
    ...limitsOf(request, subscription.currency),
    last4: null,
    trust_json: JSON.stringify({ issuer, claims } satisfies TrustRule),
  };
  await saveApiToken(deps.database, row, null, { actor: user.email, at: deps.clock.now(), now });
  return trustView({ ...row, email: user.email }, tokenLimit(row, NOTHING_SPENT, subscription.currency));
}

async function assertIssuerAllowed({ issuersAt }: Pick<BackendDeps, "issuersAt">, issuer: string): Promise<void> {
  const { isIssuerAllowed } = await import("./issuerKeys.ts");
  if (isIssuerAllowed(issuer, issuersAt)) return;
  const message = "must be https, and must not be on this machine or in a private network";
  throw new BackendError("invalid_request", `The request is not valid: issuer: ${message}`, {
    errors: [{ path: "issuer", message }],
  });
}

function trustView(row: ApiTokenWithCreator, spendLimit: Trust["spendLimit"]): Trust {
  const { issuer, claims } = JSON.parse(row.trust_json ?? "") as TrustRule;
  return {
    id: row.id,
    name: row.name.slice(TRUST_PREFIX.length),
    issuer,
    claims,
    scopes: JSON.parse(row.scopes_json) as string[],
    createdAt: row.created_at === null ? null : new Date(row.created_at).toISOString(),
    spendLimit,
    createdBy: { email: row.email },
  };
}

/** Registers the calls that list, add and remove trusts. */
export function registerTrusts(app: FastifyInstance, deps: RouteDeps): void {
  register(app, deps, "listTrusts", async ({ organization }) => {
    const trusts = await limitedTokens(deps, organization, "trust");
    const items = trusts.map(({ row, spendLimit }) => trustView(row, spendLimit));
    return { status: 200, body: { items, next: null } };
  });

  register(app, deps, "addTrust", async ({ organization, identity, body }) => ({
    status: 201,
    body: await addTrust(deps, organization.subscription, identity.user, body),
  }));

  register(app, deps, "removeTrust", async ({ organization, identity, params }) => {
    const trust = { id: params.trustId, organizationId: organization.id, kind: "trust" } as const;
    await revokeToken(deps.database, trust, { actor: identity.user.email, at: deps.clock.now() }, deps.now());
    return { status: 204, body: null };
  });
}
