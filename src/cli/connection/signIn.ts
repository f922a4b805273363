import type { Client } from "../../client/client.ts";
import type { TokenAnswer } from "../../client/identity.ts";
import type { Journal } from "../buying/engine/journal.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf } from "../errors.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { warn } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { createTargetClient } from "./connect.ts";
import { boundTo, type CredentialStore, type StoredCredential } from "./credentials.ts";
import type { Target } from "./target.ts";

const EXPIRY_MARGIN_MS = 5_000;

/** Whatever a backend says, a token is renewed after a year: no instant is too far away to be stored. */
const LONGEST_LIFE_SECONDS = 31_536_000;

/** Who a command acts as. */
export interface SignIn {
  readonly source: "environment" | "keyring" | "file";
  /** Whether a person signed in, and may be asked for a one-time code; an API token is none. */
  readonly isSession: boolean;
  /** Known for a stored sign-in. */
  readonly email: string | null;
  /** A token that has not expired as far as is known here. */
  accessToken(client: RefreshingClient): Promise<string>;
  /** A new token after the backend refused the old one, or `null` where there is none to be had. */
  renewToken(client: RefreshingClient): Promise<string | null>;
}

/** When a token of this many seconds expires, in milliseconds of this machine's clock. */
export function expiryOf(expiresIn: number, now: number): number {
  return now + Math.min(expiresIn, LONGEST_LIFE_SECONDS) * 1000;
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

/** What became of a stored sign-in. */
export interface EndedSignIn {
  /** Whether there was one, which is forgotten now. */
  readonly removed: boolean;
  /** Whether the backend confirmed that it is worth nothing any more. */
  readonly revoked: boolean;
}

/**
 * Revokes a profile's sign-in at the backend that it belongs to, and forgets it even where that fails. Another command
 * that is just renewing it is waited for, so that it does not come back.
 *
 * @throws SessionError
 */
export async function endSignIn(options: GlobalOptions, context: Context, profileName: string): Promise<EndedSignIn> {
  const store = await context.credentials();
  return await store.exclusively(profileName, () => end(options, context, profileName, store));
}

async function end(
  options: GlobalOptions,
  context: Context,
  profileName: string,
  store: CredentialStore,
): Promise<EndedSignIn> {
  const found = await store.read(profileName).catch((error: unknown) => {
    // What cannot be read can still be forgotten.
    if (codeOf(error) === "credentials_unreadable") return null;
    throw error;
  });
  // An API token that was stored by `login --with-token` has no refresh token and lives on for whoever else uses it.
  const isSession = found !== null && found.credential.refreshToken !== null;
  const revoked = isSession && (await revoke(options, context, found.credential));
  const removed = await store.remove(profileName);
  if (isSession && !revoked) {
    warn(context, options, "The backend could not be told; the sign-in was forgotten here and expires by itself.");
  }
  return { removed, revoked };
}

async function revoke(options: GlobalOptions, context: Context, credential: StoredCredential): Promise<boolean> {
  try {
    const client = await createTargetClient(context, options, credential.apiUrl, null);
    const token = credential.refreshToken ?? credential.accessToken;
    await withSpinner(context, options, "Signing out", client.revoke(token));
    return true;
  } catch {
    return false;
  }
}

/**
 * Removes the journal entries of purchases whose end was printed, as the very last thing that this process does: until
 * then whatever kills it leaves an entry, and running again shows the purchase and buys nothing more (details.md, 1).
 *
 * @param keys of purchases that have ended
 */
export function forgetAtExit(
  context: Pick<Context, "atExit" | "reach">,
  journal: Journal,
  keys: readonly string[],
): void {
  if (keys.length === 0) return;
  context.atExit(() => {
    context.reach("C3");
    for (const key of keys) tryRemove(journal, key);
  });
}

/** The purchase has ended and was shown; an entry that cannot be removed only shows it once more. */
function tryRemove(journal: Journal, key: string): void {
  try {
    journal.remove(key);
  } catch {
    return;
  }
}
