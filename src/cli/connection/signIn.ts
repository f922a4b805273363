import type { TokenAnswer } from "../../client/identity.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import type { RefreshingClient, SignIn } from "./client.ts";
import { boundTo, type CredentialStore, type StoredCredential } from "./credentials.ts";
import type { Target } from "./target.ts";

const EXPIRY_MARGIN_MS = 5_000;

/** A token is renewed after a year at most, so that its expiry can always be stored. */
const MAX_LIFE_SECONDS = 31_536_000;

/** When a token of this many seconds expires, in milliseconds of this machine's clock. */
export function expiryOf(expiresIn: number, now: number): number {
  return now + Math.min(expiresIn, MAX_LIFE_SECONDS) * 1000;
}

/**
 * A pair of session tokens as it is kept.
 *
 * @param of where and whose they are; `now` in milliseconds of this machine's clock
 */
export function sessionCredential(
  tokens: TokenAnswer,
  of: { apiUrl: string; email: string | null; now: number },
): StoredCredential {
  return {
    apiUrl: of.apiUrl,
    email: of.email,
    accessToken: tokens.access_token,
    accessExpiresAt: expiryOf(tokens.expires_in, of.now),
    refreshToken: tokens.refresh_token,
    scopes: tokens.scope.split(" ").filter(Boolean),
  };
}

/**
 * The sign-in for a target: SECUREFLAG_API_TOKEN, else the stored one. A stored token is bound to the origin that it
 * came from and used nowhere else.
 *
 * @throws CliError `not_signed_in`
 */
export async function findSignIn(
  context: Pick<Context, "env" | "credentials" | "clock" | "reach">,
  target: Target,
): Promise<SignIn> {
  const token = context.env.SECUREFLAG_API_TOKEN;
  if (token) return environmentSignIn(token);
  const store = await context.credentials();
  const found = await store.read(target.profileName);
  if (found === null) {
    throw new CliError("not_signed_in", `You are not signed in to ${new URL(target.apiUrl).origin}`, {
      hint: "Run `secureflag-licenses login`, or set SECUREFLAG_API_TOKEN.",
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
  return {
    source: "environment",
    isSession: false,
    email: null,
    accessToken: async () => token,
    renewToken: async () => null,
  };
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
    if (current.refreshToken === null) return null;
    const store = await context.credentials();
    return await store.exclusively(profileName, async () => {
      const stored = (await store.read(profileName))?.credential ?? null;
      // Signed out, or signed in elsewhere, by another command meanwhile.
      if (stored === null || stored.refreshToken === null || stored.apiUrl !== current.apiUrl) return null;
      const isRenewed = stored.accessToken !== current.accessToken && !isExpired(stored);
      current = isRenewed ? stored : await exchange(client, store, stored, stored.refreshToken);
      return current.accessToken;
    });
  };

  /** The old refresh token is worth nothing once it was sent, so the place for the new one is tried before. */
  const exchange = async (
    client: RefreshingClient,
    store: CredentialStore,
    stored: StoredCredential,
    refreshToken: string,
  ): Promise<StoredCredential> => {
    await store.write(profileName, stored, found.source);
    const answer = await client.refresh(refreshToken);
    const renewed = sessionCredential(answer, { apiUrl: stored.apiUrl, email: stored.email, now: now() });
    context.reach("C4");
    await store.write(profileName, renewed, found.source);
    return renewed;
  };

  return {
    source: found.source,
    isSession: current.refreshToken !== null,
    email: current.email,
    accessToken: async (client) =>
      isExpired(current) ? ((await renew(client)) ?? current.accessToken) : current.accessToken,
    renewToken: renew,
  };
}
