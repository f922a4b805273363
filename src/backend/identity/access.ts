import { canBuy, roleName } from "../../billing/roles.ts";
import { SCOPES, type Scope } from "../../contract/constants.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import type { Caller, Guard, Identity, Membership, OrganizationRole } from "../http/register.ts";
import { type Admitted, findCaller } from "./admission.ts";
import { invitationsOf, membershipsOf } from "./memberships.ts";
import { hashToken } from "./secrets.ts";

/** How old the last one-time code may be when money is spent (src/backend/README.md, Sign-in). */
const FRESH_CODE_MS = 15 * 60_000;

type AccessDeps = Pick<BackendDeps, "database" | "now">;

/** Access tokens of sessions begin like this; API tokens may be any text. */
const SESSION_PREFIX = "sfs_";

/**
 * Authenticates a bearer token, and reads the caller's access to an organization in the same statement.
 *
 * @param authorization the header as received
 * @param organizationId `null` to ask for no organization
 * @throws BackendError `unauthenticated`
 */
export async function authenticate(
  deps: AccessDeps,
  authorization: string | undefined,
  organizationId: number | null,
): Promise<Caller> {
  const bearer = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization ?? "")?.[1];
  if (!bearer) throw unauthenticated("Authentication is required; sign in first");
  const kind = bearer.startsWith(SESSION_PREFIX) ? "session" : "token";
  const find = (which: typeof kind) => findCaller(deps.database, which, hashToken(bearer), organizationId, deps.now());
  const found = (await find(kind)) ?? (await find(kind === "session" ? "token" : "session"));
  if (!found) throw unauthenticated("The token is invalid, expired or revoked");
  return { identity: identityOf(found, bearer.slice(-4)), membership: found.member && membershipOf(found.member) };
}

function identityOf({ user, token, session }: Admitted, last4: string): Identity {
  return {
    user,
    token,
    session: session && { id: session.id, mfaAt: session.mfa_at },
    scopes: token ? (JSON.parse(token.scopes_json) as string[]) : SCOPES,
    expiresAt: token ? token.expires_at : (session?.access_expires_at ?? null),
    last4,
  };
}

function membershipOf({ role, subscription }: NonNullable<Admitted["member"]>): Membership {
  return { id: subscription.organization_id, name: subscription.name, role, subscription };
}

/** Returns the organizations that the caller may access. */
export async function organizationsOf(deps: AccessDeps, identity: Identity): Promise<OrganizationRole[]> {
  const memberships = await membershipsOf(deps.database, identity.user.id);
  return memberships.filter(({ id }) => identity.token === null || identity.token.organization_id === id);
}

/** Returns the caller's pending invitations; none for an API token. */
export async function invitationsFor(deps: AccessDeps, { user, token }: Identity): Promise<OrganizationRole[]> {
  return token === null ? invitationsOf(deps.database, user.id) : [];
}

/**
 * Authorizes the caller for an organization. Other organizations are `not_found`, so that nobody learns which ones exist
 * (src/backend/README.md, Sign-in).
 *
 * @throws BackendError `not_found`, `forbidden`, `insufficient_scope`
 */
function authorize(
  { identity, membership }: Caller,
  organizationId: number,
  scope: Scope | "administrator",
): Membership {
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
 * @param isEnrolled whether the user must have them
 * @throws BackendError `mfa_required`, `mfa_not_enrolled`
 */
function assertFreshCode({ now }: Pick<BackendDeps, "now">, { user, session }: Identity, isEnrolled: boolean): void {
  if (session === null) return;
  if (user.totp_secret === null) {
    if (isEnrolled) throw new BackendError("mfa_not_enrolled", `${user.email} has no authenticator app`);
    return;
  }
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
    authenticate: (authorization, organizationId) => authenticate(deps, authorization, organizationId),
    authorize,
    assertFreshCode: (identity, isEnrolled) => assertFreshCode(deps, identity, isEnrolled),
  };
}
