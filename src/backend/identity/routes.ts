import type { FastifyInstance } from "fastify";
import { ROLES, roleName } from "../../billing/roles.ts";
import { DEVICE_GRANT, type Me, type SessionTokens, TOKEN_EXCHANGE } from "../../contract/identity.ts";
import { modeFields } from "../../contract/mode.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { type Answer, type Identity, type RouteDeps, register } from "../http/register.ts";
import { invitationsFor, organizationsOf } from "./access.ts";
import { authorizeDevice, pollDevice } from "./deviceGrants.ts";
import type { createExchange } from "./exchange.ts";
import { acceptInvitation, saveSessionCode } from "./memberships.ts";
import { acceptCode } from "./oneTimeCodes.ts";
import { endSession, refreshSession } from "./sessions.ts";
import { assertKnownClient, type SignInDeps, signIn, signInWithCode } from "./signIn.ts";
import { lifeOf, spendLimitOf } from "./tokens.ts";

/** Registers sign-in, sessions and `/me`. */
export function registerIdentity(app: FastifyInstance, deps: RouteDeps, signInDeps: SignInDeps): void {
  register(app, deps, "login", async ({ body, request }) => ({
    status: 200,
    body: await signIn(signInDeps, body, request.ip),
  }));

  register(app, deps, "mfa", async ({ body, request }) => ({
    status: 200,
    body: await signInWithCode(signInDeps, body, request.ip),
  }));

  register(app, deps, "stepUp", async ({ identity, body, request }) => {
    await stepUp(deps, identity, body.code, request.ip);
    return { status: 204, body: null };
  });

  register(app, deps, "me", async ({ identity }) => ({ status: 200, body: await describe(deps, identity) }));

  register(app, deps, "acceptInvitation", async ({ identity, params: { organizationId } }) => {
    const { user, session } = identity;
    if (session === null) {
      throw new BackendError("forbidden", "An API token cannot accept invitations; sign in instead");
    }
    const change = { actor: user.email, at: deps.clock.now() };
    const membership = await acceptInvitation(deps.database, { organizationId, userId: user.id }, change);
    return { status: 200, body: membership };
  });

  registerOauth(app, deps);
}

function registerOauth(app: FastifyInstance, deps: RouteDeps): void {
  register(app, deps, "deviceAuthorization", async ({ body, request }) => {
    const origin = { address: request.ip, pageOrigin: deps.pageOrigin(request.host) };
    return { status: 200, body: await authorizeDevice(deps, { clientId: body.client_id, ...origin }) };
  });

  // Loaded on demand: what verifies identity tokens would take a part of every sandbox's start.
  let loading: Promise<ReturnType<typeof createExchange>> | undefined;
  const exchange = () => {
    loading ??= import("./exchange.ts").then(({ createExchange: create }) => create(deps));
    return loading;
  };
  register(app, deps, "token", async ({ body, request }) => {
    if (body.grant_type === TOKEN_EXCHANGE) {
      const asked = { address: request.ip, origin: deps.pageOrigin(request.host) };
      return { status: 200, body: await (await exchange())(body, asked) };
    }
    if (body.grant_type === DEVICE_GRANT) {
      return oauthTokens(await pollDevice(deps, { deviceCode: body.device_code, clientId: body.client_id }));
    }
    if (body.client_id !== undefined) assertKnownClient(body.client_id);
    return oauthTokens(await refreshSession(deps, body.refresh_token));
  });

  register(app, deps, "revokeToken", async ({ body }) => {
    await endSession(deps, body.token);
    return { status: 200, body: null };
  });
}

/** Returns a pair of tokens as in RFC 6749, section 5.1. */
function oauthTokens(session: SessionTokens): Answer {
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
}

async function stepUp(deps: BackendDeps, identity: Identity, code: string, address: string): Promise<void> {
  const { user, session } = identity;
  if (session === null) {
    throw new BackendError("forbidden", "An API token cannot submit a one-time code; sign in instead");
  }
  if (user.totp_secret === null) {
    throw new BackendError("invalid_request", "This account does not use one-time codes");
  }
  await saveSessionCode(deps.database, session.id, await acceptCode(deps, user, code, address));
}

async function describe(deps: BackendDeps, identity: Identity): Promise<Me> {
  const organizations = await organizationsOf(deps, identity);
  const role = Math.min(ROLES.user, ...organizations.map((organization) => organization.role));
  return {
    user: { email: identity.user.email, role, roleName: roleName(role) },
    organizations,
    invitations: await invitationsFor(deps, identity),
    token: {
      name: identity.token?.name ?? null,
      scopes: [...identity.scopes],
      ...lifeOf(identity.expiresAt, deps.now()),
      last4: identity.last4,
      spendLimit: identity.token && (await spendLimitOf(deps, identity.token)),
    },
    ...modeFields(deps.gateway.account.mode),
  };
}
