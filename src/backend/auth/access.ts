import { mayBuy, roleName } from "../../billing/roles.ts";
import { SCOPES, type Scope } from "../../contract/scopes.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../problem.ts";
import { findApiToken, findSession, membershipsOf, readUser } from "../store/identities.ts";
import type { ApiTokenRow, UserRow } from "../store/schema.ts";
import { hashToken } from "./secrets.ts";

/** Who is calling: a person's session, or an API token, which belongs to one organization. */
export interface Identity {
  readonly user: UserRow;
  readonly token: ApiTokenRow | null;
  readonly scopes: readonly string[];
  /** When the token ends, machine milliseconds; `null` for never. */
  readonly expiresAt: number | null;
  readonly last4: string;
}

/** An organization as its member sees it. */
export interface Membership {
  readonly id: number;
  readonly name: string;
  readonly role: number;
}

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
    return { user, token, scopes: JSON.parse(token.scopes_json) as string[], expiresAt: token.expires_at, last4 };
  }
  const session = await findSession(deps.database, hash, deps.now());
  if (!session) throw unauthenticated("The token is not valid here, or it has expired or was revoked");
  const user = await readUser(deps.database, session.user_id);
  return { user, token: null, scopes: SCOPES, expiresAt: session.access_expires_at, last4 };
}

/** The organizations that the caller may name. */
export async function organizationsOf(deps: AccessDeps, identity: Identity): Promise<Membership[]> {
  const memberships = await membershipsOf(deps.database, identity.user.id);
  return memberships.filter(({ id }) => identity.token === null || identity.token.organization_id === id);
}

/**
 * Lets the caller at an organization's billing or users, or says why not. Another organization is `not_found`, so that
 * nobody learns which ones exist (security.md, Signing in).
 *
 * @throws ProblemError `not_found`, `forbidden`, `insufficient_scope`
 */
export async function authorize(
  deps: AccessDeps,
  identity: Identity,
  organizationId: number,
  scope: Scope,
): Promise<Membership> {
  const membership = (await organizationsOf(deps, identity)).find(({ id }) => id === organizationId);
  if (!membership) throw new ProblemError("not_found", `There is no organization ${organizationId} here`);
  if (!mayBuy(membership.role)) {
    throw new ProblemError(
      "forbidden",
      `This needs the role organization administrator; ${identity.user.email} is ${roleName(membership.role)} of ${membership.name}`,
    );
  }
  if (!identity.scopes.includes(scope)) {
    throw new ProblemError("insufficient_scope", `This needs a token with the scope ${scope}`);
  }
  return membership;
}

function unauthenticated(message: string): ProblemError {
  return new ProblemError("unauthenticated", message, {}, { "WWW-Authenticate": "Bearer" });
}
