import type { FastifyInstance } from "fastify";
import { createApiToken } from "../auth/apiTokens.ts";
import { tokenView } from "../auth/tokenView.ts";
import type { BackendDeps } from "../deps.ts";
import { register } from "../http/register.ts";
import { listApiTokens, revokeToken } from "../store/tokens.ts";

/** API tokens of an organization, which its signed-in administrators manage (security.md, Signing in). */
export function registerTokens(app: FastifyInstance, deps: BackendDeps): void {
  register(app, deps, "listTokens", async ({ organization }) => {
    const rows = await listApiTokens(deps.database, organization.id);
    return { status: 200, body: { items: await Promise.all(rows.map((row) => tokenView(deps, row))), next: null } };
  });

  register(app, deps, "createToken", async ({ organization, identity, body }) => ({
    status: 201,
    body: await createApiToken(deps, organization.id, identity.user, body),
  }));

  register(app, deps, "revokeApiToken", async ({ organization, identity, params }) => {
    const token = { id: params.tokenId, organizationId: organization.id };
    await revokeToken(deps.database, token, { actor: identity.user.email, at: deps.clock.now() }, deps.now());
    return { status: 204, body: null };
  });
}
