import { canBuy, roleName } from "../../billing/roles.ts";
import { SCOPES, type Scope } from "../../contract/constants.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import type { Guard, Identity, Membership } from "../http/register.ts";
import { findSession, invitationsOf, membershipsOf, readUser } from "./memberships.ts";
import { hashToken } from "./secrets.ts";
import { findApiToken } from "./tokenStore.ts";

/** How old the last one-time code may be when money is spent (src/backend/README.md, Sign-in). */
const FRESH_CODE_MS = 15 * 60_000;

type AccessDeps = Pick<BackendDeps, "database" | "now">;

/**
 * Authenticates a bearer token.
 *
 * @param authorization the header as received
 * @throws BackendError `unauthenticated`
 */
export async function authenticate(deps: AccessDeps, authorization: string | undefined): Promise<Identity> {
  const bearer = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization ?? "")?.[1];
  if (!bearer) throw unauthenticated("Authentication is required; sign in first");
  const last4 = bearer.slice(-4);
  const hash = hashToken(bearer);
  const token = await findApiToken(deps.database, hash, deps.now());
  if (token) {
    const user = await readUser(deps.database, token.user_id);
    const scopes = JSON.parse(token.scopes_json) as string[];
    return { user, token, session: null, scopes, expiresAt: token.expires_at, last4 };
  }
  const session = await findSession(deps.database, hash, deps.now());
  if (!session) throw unauthenticated("The token is invalid, expired or revoked");
  const user = await readUser(deps.database, session.user_id);
  return {
    user,
    token: null,
    session: { id: session.id, mfaAt: session.mfa_at },
    scopes: SCOPES,
    expiresAt: session.access_expires_at,
    last4,
  };
}

/** Returns the organizations that the caller may access. */
export async function organizationsOf(deps: AccessDeps, identity: Identity): Promise<Membership[]> {
  const memberships = await membershipsOf(deps.database, identity.user.id);
  return memberships.filter(({ id }) => identity.token === null || identity.token.organization_id === id);
}

/** Returns the caller's pending invitations; none for an API token. */
export async function invitationsFor(deps: AccessDeps, { user, token }: Identity): Promise<Membership[]> {
  return token === null ? invitationsOf(deps.database, user.id) : [];
}

/**
 * Authorizes the caller for an organization. Other organizations are `not_found`, so that nobody learns which ones exist
 * (src/backend/README.md, Sign-in).
 *
 * @throws BackendError `not_found`, `forbidden`, `insufficient_scope`
 */
async function authorize(
  deps: AccessDeps,
  identity: Identity,
  organizationId: number,
  scope: Scope | "administrator",
): Promise<Membership> {
  const membership = (await organizationsOf(deps, identity)).find(({ id }) => id === organizationId);
  if (!membership) throw new BackendError("not_found", `Organization ${organizationId} not found`);
  if (!canBuy(membership.role)) {
    throw new BackendError(
      "forbidden",
      `The role organization administrator is required; ${identity.user.email} is ${roleName(membership.role)} of ${membership.name}`,
    );
  }
  if (scope === "administrator") {
    if (identity.token === null) return membership;
    throw new BackendError("forbidden", "This needs a signed-in administrator; an API token cannot do it");
  }
  if (!identity.scopes.includes(scope)) {
    throw new BackendError("insufficient_scope", `A token with the scope ${scope} is required`);
  }
  return membership;
}

/**
 * Requires a recent one-time code in the session of a user who has them; never of an API token (src/backend/README.md,
 * Sign-in).
 *
 * @throws BackendError `mfa_required`
 */
function assertFreshCode({ now }: Pick<BackendDeps, "now">, { user, session }: Identity): void {
  if (session === null || user.totp_secret === null) return;
  if (session.mfaAt !== null && now() - session.mfaAt <= FRESH_CODE_MS) return;
  throw new BackendError(
    "mfa_required",
    "A one-time code from the last 15 minutes is required",
    {},
    // RFC 9470, section 3.
    { "WWW-Authenticate": `Bearer error="insufficient_user_authentication", max_age=${FRESH_CODE_MS / 1000}` },
  );
}

function unauthenticated(message: string): BackendError {
  return new BackendError("unauthenticated", message, {}, { "WWW-Authenticate": "Bearer" });
}

/** Creates the guard of all routes. */
export function createGuard(deps: BackendDeps): Guard {
  return {
    authenticate: (authorization) => authenticate(deps, authorization),
    authorize: (identity, organizationId, scope) => authorize(deps, identity, organizationId, scope),
    assertFreshCode: (identity) => assertFreshCode(deps, identity),
  };
}
