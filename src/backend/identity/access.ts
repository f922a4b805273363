import { mayBuy, roleName } from "../../billing/roles.ts";
import { SCOPES, type Scope } from "../../contract/constants.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";
import type { Guard, Identity, Membership } from "../http/register.ts";
import { findSession, invitationsOf, membershipsOf, readUser } from "./memberships.ts";
import { hashToken } from "./secrets.ts";
import { findApiToken } from "./tokenStore.ts";

/** How old the last one-time code may be where money is spent (security.md, Signing in). */
const FRESH_CODE_MS = 15 * 60_000;

type AccessDeps = Pick<BackendDeps, "database" | "now">;

/**
 * Finds who a bearer token belongs to.
 *
 * @param authorization the header as it came
 * @throws ProblemError `unauthenticated`
 */
export async function authenticate(deps: AccessDeps, authorization: string | undefined): Promise<Identity> {
  const bearer = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization ?? "")?.[1];
  if (!bearer) throw unauthenticated("This call needs a token; sign in first");
  const last4 = bearer.slice(-4);
  const hash = hashToken(bearer);
  const token = await findApiToken(deps.database, hash, deps.now());
  if (token) {
    const user = await readUser(deps.database, token.user_id);
    const scopes = JSON.parse(token.scopes_json) as string[];
    return { user, token, session: null, scopes, expiresAt: token.expires_at, last4 };
  }
  const session = await findSession(deps.database, hash, deps.now());
  if (!session) throw unauthenticated("The token is not valid here, or it has expired or was revoked");
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

/** The organizations that the caller may name. */
export async function organizationsOf(deps: AccessDeps, identity: Identity): Promise<Membership[]> {
  const memberships = await membershipsOf(deps.database, identity.user.id);
  return memberships.filter(({ id }) => identity.token === null || identity.token.organization_id === id);
}

/** The organizations that wait for the caller to accept their invitation; an API token is shown none of its person's. */
export async function invitationsFor(deps: AccessDeps, { user, token }: Identity): Promise<Membership[]> {
  return token === null ? invitationsOf(deps.database, user.id) : [];
}

/**
 * Lets the caller at an organization's billing or users, or says why not. Another organization is `not_found`, so that
 * nobody learns which ones exist (security.md, Signing in).
 *
 * @throws ProblemError `not_found`, `forbidden`, `insufficient_scope`
 */
async function authorize(
  deps: AccessDeps,
  identity: Identity,
  organizationId: number,
  scope: Scope | "administrator",
): Promise<Membership> {
  const membership = (await organizationsOf(deps, identity)).find(({ id }) => id === organizationId);
  if (!membership) throw new ProblemError("not_found", `There is no organization ${organizationId} here`);
  if (!mayBuy(membership.role)) {
    throw new ProblemError(
      "forbidden",
      `This needs the role organization administrator; ${identity.user.email} is ${roleName(membership.role)} of ${membership.name}`,
    );
  }
  if (scope === "administrator") {
    if (identity.token === null) return membership;
    throw new ProblemError("forbidden", "This needs a signed-in administrator; an API token cannot do it");
  }
  if (!identity.scopes.includes(scope)) {
    throw new ProblemError("insufficient_scope", `This needs a token with the scope ${scope}`);
  }
  return membership;
}

/**
 * Asks for a one-time code where the last one is too old: in the session of a user who has them, never with an API token
 * (security.md, Signing in; details.md, 17).
 *
 * @throws ProblemError `mfa_required`
 */
function assertFreshCode({ now }: Pick<BackendDeps, "now">, { user, session }: Identity): void {
  if (session === null || user.totp_secret === null) return;
  if (session.mfaAt !== null && now() - session.mfaAt <= FRESH_CODE_MS) return;
  throw new ProblemError(
    "mfa_required",
    "This needs a one-time code given in the last 15 minutes",
    {},
    // RFC 9470, section 3.
    { "WWW-Authenticate": `Bearer error="insufficient_user_authentication", max_age=${FRESH_CODE_MS / 1000}` },
  );
}

function unauthenticated(message: string): ProblemError {
  return new ProblemError("unauthenticated", message, {}, { "WWW-Authenticate": "Bearer" });
}

/** Creates the guard of every route. */
export function createGuard(deps: BackendDeps): Guard {
  return {
    authenticate: (authorization) => authenticate(deps, authorization),
    authorize: (identity, organizationId, scope) => authorize(deps, identity, organizationId, scope),
    assertFreshCode: (identity) => assertFreshCode(deps, identity),
  };
}
