import type { FastifyInstance } from "fastify";
import { money } from "../../billing/money.ts";
import { ROLES, roleName } from "../../billing/roles.ts";
import type { Me } from "../../contract/identity.ts";
import { type Identity, organizationsOf } from "../auth/access.ts";
import { endSession, refreshSession } from "../auth/sessions.ts";
import { type SignInDeps, signIn } from "../auth/signIn.ts";
import type { BackendDeps } from "../deps.ts";
import { register } from "../http/register.ts";
import { readSpent } from "../store/acceptance.ts";
import { readSubscription } from "../store/subscriptions.ts";

/** Sign-in, sessions and `/me`. */
export function registerIdentity(app: FastifyInstance, deps: BackendDeps, signInDeps: SignInDeps): void {
  register(app, deps, "login", async ({ body, request }) => ({
    status: 200,
    body: await signIn(signInDeps, body, request.ip),
  }));

  register(app, deps, "refreshToken", async ({ body }) => {
    const session = await refreshSession(deps, body.refresh_token);
    return {
      status: 200,
      body: {
        access_token: session.accessToken,
        refresh_token: session.refreshToken,
        token_type: session.tokenType,
        expires_in: session.expiresIn,
        scope: session.scopes.join(" "),
      },
    };
  });

  register(app, deps, "revokeToken", async ({ body }) => {
    await endSession(deps, body.token);
    return { status: 200, body: null };
  });

  register(app, deps, "me", async ({ identity }) => ({ status: 200, body: await describe(deps, identity) }));
}

async function describe(deps: BackendDeps, identity: Identity): Promise<Me> {
  const organizations = await organizationsOf(deps, identity);
  const role = Math.min(ROLES.user, ...organizations.map((organization) => organization.role));
  return {
    user: { email: identity.user.email, role, roleName: roleName(role) },
    organizations,
    token: {
      name: identity.token?.name ?? null,
      scopes: [...identity.scopes],
      expiresAt: identity.expiresAt === null ? null : new Date(identity.expiresAt).toISOString(),
      last4: identity.last4,
      spendLimit: await spendLimitOf(deps, identity),
    },
  };
}

async function spendLimitOf(deps: BackendDeps, { token }: Identity): Promise<Me["token"]["spendLimit"]> {
  if (!token || (token.limit_amount === null && token.limit_licenses === null)) return null;
  const { currency, time_zone } = await readSubscription(deps.database, token.organization_id);
  const spent = await readSpent(deps.database, token.id, time_zone, deps.clock.now());
  const { limit_amount: amount, limit_licenses: licenses } = token;
  return {
    amount: amount === null ? null : money(amount, currency),
    amountLeft: amount === null ? null : money(Math.max(0, amount - spent.amount), currency),
    licenses,
    licensesLeft: licenses === null ? null : Math.max(0, licenses - spent.licenses),
  };
}
