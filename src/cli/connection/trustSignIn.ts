import { ClientError } from "../../client/errors.ts";
import type { ExchangeAnswer } from "../../contract/identity.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { isOnGithub } from "../io.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { shorten } from "../kit/text.ts";
import type { RefreshingClient, SignIn } from "./client.ts";
import type { Target } from "./target.ts";

type TrustContext = Pick<Context, "env" | "clock" | "io" | "version">;

type TrustOptions = Pick<GlobalOptions, "json" | "timeoutMs">;

/** A token is renewed so long before it expires. */
const EXPIRY_MARGIN_MS = 5_000;

/**
 * The sign-in of a CI job without a stored secret: its identity token, from SECUREFLAG_ID_TOKEN or GitHub Actions, exchanged
 * by the trust that SECUREFLAG_TRUST names. The token that it gets stays in this process.
 *
 * @throws CliError `not_signed_in` without a trust or an identity token, `organization_required`
 */
export function trustSignIn(context: TrustContext, target: Target, options: TrustOptions): SignIn {
  const { SECUREFLAG_TRUST: trust, SECUREFLAG_ID_TOKEN: given } = context.env;
  if (!trust) {
    throw new CliError("not_signed_in", "SECUREFLAG_ID_TOKEN is set, but SECUREFLAG_TRUST is not", {
      hint: "Set SECUREFLAG_TRUST to the name of a trust.",
    });
  }
  const readIdentity = given ? async () => given : githubIdentity(context, target, options);
  if (readIdentity === null) {
    throw new CliError("not_signed_in", `No identity token for the trust ${shorten(trust)}`, {
      hint: isOnGithub(context.env)
        ? 'Add "permissions: id-token: write" to the job.'
        : "Set SECUREFLAG_ID_TOKEN to the identity token of the job.",
    });
  }
  const { organizationId } = target;
  if (organizationId === null) {
    throw new CliError("organization_required", "The organization is required to sign in with a trust", {
      hint: "Pass --org <id> or set SECUREFLAG_ORGANIZATION.",
    });
  }
  return exchangingSignIn(context, options, async (client) => {
    const identityToken = await readIdentity();
    return await client.exchange({ organizationId, trust, identityToken }).catch((error: unknown) => {
      throw error instanceof ClientError && error.code === "unauthenticated" ? refused(trust, target, error) : error;
    });
  });
}

/** What requests the identity token of a job of GitHub Actions; `null` where the job may not have one. */
function githubIdentity(
  { env, clock, io, version }: TrustContext,
  { apiUrl }: Target,
  { json, timeoutMs }: TrustOptions,
): (() => Promise<string>) | null {
  const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: token } = env;
  if (!url || !token) return null;
  const userAgent = `secureflag-licenses/${version}`;
  return async () => {
    // Loaded here, because few commands need it.
    const { requestGithubToken } = await import("../../client/githubToken.ts");
    const request = { url, token, audience: new URL(apiUrl).origin };
    const identity = await requestGithubToken(request, { env, timeoutMs, userAgent, sleep: clock.sleep });
    if (!json) io.workflowCommand("add-mask", identity);
    return identity;
  };
}

/** A sign-in whose token is exchanged again before it expires, and when it is refused. */
function exchangingSignIn(
  { clock, io }: TrustContext,
  { json }: TrustOptions,
  exchange: (client: RefreshingClient) => Promise<ExchangeAnswer>,
): SignIn {
  let current: { token: string; expiresAt: number } | null = null;
  let pending: Promise<string> | null = null;

  const renew = async (client: RefreshingClient): Promise<string> => {
    const answer = await exchange(client);
    const expiresAt = clock.monotonic() + answer.expires_in * 1000 - EXPIRY_MARGIN_MS;
    current = { token: answer.access_token, expiresAt };
    if (!json) io.workflowCommand("add-mask", answer.access_token);
    return answer.access_token;
  };
  // Calls at the same time share one exchange.
  const renewOnce = (client: RefreshingClient) => {
    pending ??= renew(client).finally(() => {
      pending = null;
    });
    return pending;
  };
  return {
    source: "trust",
    isSession: false,
    email: null,
    accessToken: async (client) =>
      current !== null && clock.monotonic() < current.expiresAt ? current.token : await renewOnce(client),
    renewToken: renewOnce,
  };
}

function refused(trust: string, { apiUrl }: Target, cause: ClientError): CliError {
  return new CliError(
    "unauthenticated",
    `The backend refused the job's identity token for the trust ${shorten(trust)}`,
    {
      hint: `Its audience must be ${new URL(apiUrl).origin}. See \`secureflag-licenses tokens trust list\`.`,
      requestId: cause.requestId,
      cause,
    },
  );
}
