import type { Client } from "../../../client/client.ts";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { boundTo, type StoredCredential } from "../../session/credentials.ts";
import type { Target } from "./target.ts";

const EXPIRY_MARGIN_MS = 5_000;

/** Who a command acts as. */
export interface SignIn {
  readonly source: "environment" | "keyring" | "file";
  /** Known for a stored sign-in. */
  readonly email: string | null;
  /** A token that has not expired as far as is known here. */
  accessToken(client: RefreshingClient): Promise<string>;
  /** A new token after the backend refused the old one, or `null` where there is none to be had. */
  renewToken(client: RefreshingClient): Promise<string | null>;
}

/** What a sign-in needs of the client. */
type RefreshingClient = Pick<Client, "refresh">;

/**
 * The sign-in for a target: SECUREFLAG_API_TOKEN, else the stored one. A stored token is bound to the origin that it
 * came from and used nowhere else (security.md).
 *
 * @throws CliError `not_signed_in`
 */
export async function findSignIn(
  context: Pick<Context, "env" | "credentials" | "clock" | "reach">,
  target: Target,
): Promise<SignIn> {
  const token = context.env.SECUREFLAG_API_TOKEN?.trim();
  if (token) return environmentSignIn(token);
  const store = await context.credentials();
  const found = await store.read(target.profileName);
  if (found === null) {
    throw new CliError("not_signed_in", `You are not signed in to ${new URL(target.apiUrl).origin}`, {
      hint: "Run `secureflag-licenses login --email <email>`, or set SECUREFLAG_API_TOKEN.",
    });
  }
  if (!boundTo(found.credential, target.apiUrl)) {
    const [here, there] = [new URL(target.apiUrl).origin, new URL(found.credential.apiUrl).origin];
    throw new CliError("not_signed_in", `You are signed in to ${there}, not to ${here}`, {
      hint: `Sign in there with \`secureflag-licenses login --api-url ${target.apiUrl}\`.`,
    });
  }
  return storedSignIn(context, target.profileName, found);
}

function environmentSignIn(token: string): SignIn {
  return { source: "environment", email: null, accessToken: async () => token, renewToken: async () => null };
}

function storedSignIn(
  context: Pick<Context, "credentials" | "clock" | "reach">,
  profileName: string,
  found: { credential: StoredCredential; source: "keyring" | "file" },
): SignIn {
  let current = found.credential;
  const now = () => context.clock.now();
  const isExpired = ({ accessExpiresAt }: StoredCredential) =>
    accessExpiresAt !== null && accessExpiresAt - EXPIRY_MARGIN_MS <= now();

  const renew = async (client: RefreshingClient): Promise<string | null> => {
    const store = await context.credentials();
    const stored = (await store.read(profileName))?.credential;
    // Another command may have renewed it meanwhile; using the old refresh token again would revoke the family.
    if (
      stored &&
      stored.accessToken !== current.accessToken &&
      stored.apiUrl === current.apiUrl &&
      !isExpired(stored)
    ) {
      current = stored;
      return current.accessToken;
    }
    if (current.refreshToken === null) return null;
    const answer = await client.refresh(current.refreshToken);
    current = {
      ...current,
      accessToken: answer.access_token,
      refreshToken: answer.refresh_token,
      accessExpiresAt: now() + answer.expires_in * 1000,
      scopes: answer.scope.split(" ").filter(Boolean),
    };
    context.reach("C4");
    await store.write(profileName, current, { allowFile: found.source === "file" });
    return current.accessToken;
  };

  return {
    source: found.source,
    email: current.email,
    accessToken: async (client) =>
      isExpired(current) ? ((await renew(client)) ?? current.accessToken) : current.accessToken,
    renewToken: renew,
  };
}
