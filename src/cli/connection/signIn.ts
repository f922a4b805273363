import type { TokenAnswer } from "../../client/identity.ts";
import { MAX_TOKEN_BYTES } from "../../client/token.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { decodeText } from "../kit/text.ts";
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
 * The sign-in for a target: SECUREFLAG_API_TOKEN or SECUREFLAG_API_TOKEN_FILE, else the stored one, else that of a CI job by a
 * trust. A stored token is bound to the origin that it came from and used nowhere else.
 *
 * @throws CliError `not_signed_in`, `organization_required`; `invalid_usage` for a token's file
 */
export async function findSignIn(
  context: Pick<Context, "env" | "credentials" | "clock" | "reach" | "io" | "version">,
  target: Target,
  options: Pick<GlobalOptions, "json" | "timeoutMs">,
): Promise<SignIn> {
  const { env } = context;
  if (env.SECUREFLAG_API_TOKEN_FILE) return await tokenFileSignIn(context, options, env.SECUREFLAG_API_TOKEN_FILE);
  if (env.SECUREFLAG_API_TOKEN) return tokenSignIn(env.SECUREFLAG_API_TOKEN, "environment");
  const store = await context.credentials();
  const found = await store.read(target.profileName);
  const isBound = found !== null && boundTo(found.credential, target.apiUrl);
  if (!isBound && (env.SECUREFLAG_TRUST || env.SECUREFLAG_ID_TOKEN)) {
    // Loaded here, because most commands need no trust.
    const { trustSignIn } = await import("./trustSignIn.ts");
    return trustSignIn(context, target, options);
  }
  if (found === null) {
    throw new CliError("not_signed_in", `You are not signed in to ${new URL(target.apiUrl).origin}`, {
      hint: "Run `secureflag-licenses login`, or set SECUREFLAG_API_TOKEN.",
    });
  }
  if (!isBound) {
    const [here, there] = [new URL(target.apiUrl).origin, new URL(found.credential.apiUrl).origin];
    throw new CliError("not_signed_in", `You are signed in to ${there}, not to ${here}`, {
      hint: `Sign in there with \`secureflag-licenses login --api-url ${target.apiUrl}\`.`,
    });
  }
  return storedSignIn(context, target.profileName, found);
}

/** Reads a token from the file that SECUREFLAG_API_TOKEN_FILE names, as Docker and Kubernetes mount secrets. */
async function tokenFileSignIn(
  { env, io }: Pick<Context, "env" | "io">,
  { json }: Pick<GlobalOptions, "json">,
  path: string,
): Promise<SignIn> {
  if (env.SECUREFLAG_API_TOKEN) {
    const message = "SECUREFLAG_API_TOKEN and SECUREFLAG_API_TOKEN_FILE cannot both be set";
    throw usageError(message, "Unset one of them.");
  }
  const { readInputFile, whyUnread } = await import("../files/files.ts");
  const bytes = await readInputFile(path, 2 * MAX_TOKEN_BYTES, true).catch((cause: unknown) => {
    throw new CliError("invalid_usage", `SECUREFLAG_API_TOKEN_FILE: cannot read ${path}: ${whyUnread(cause)}`, {
      hint: "Check the path and the rights of the file.",
      cause,
    });
  });
  const token = decodeText(bytes).trim();
  if (token === "") throw usageError(`SECUREFLAG_API_TOKEN_FILE: ${path} is empty`, "Write the token to the file.");
  if (!json) io.workflowCommand("add-mask", token);
  return tokenSignIn(token, "token_file");
}

function tokenSignIn(token: string, source: "environment" | "token_file"): SignIn {
  return {
    source,
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
