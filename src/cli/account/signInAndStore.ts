import { isMissing } from "../../client/missing.ts";
import { MAX_TOKEN_BYTES } from "../../client/token.ts";
import type { Me } from "../../contract/identity.ts";
import { createTargetClient } from "../connection/client.ts";
import { organizationNotReported } from "../connection/connect.ts";
import type { CredentialSource, CredentialStore, StoredCredential } from "../connection/credentials.ts";
import type { ProfileSettings } from "../connection/settings.ts";
import { assertSignInOffered, resolveTarget, type Target } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { codeOf, usageError } from "../errors.ts";
import { note } from "../kit/output.ts";
import { confirmOrCancel, openPrompter, promptsAllowed } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { decodeText } from "../kit/text.ts";
import { type LoginOptions, passwordCredential, webCredential } from "./signIn.ts";

/** A sign-in to store, and where. */
interface Storing {
  readonly target: Target;
  readonly credential: StoredCredential;
  readonly store: CredentialStore;
  readonly place: CredentialSource;
}

/** A sign-in that was stored with its profile. */
export interface Stored {
  readonly target: Target;
  readonly profile: ProfileSettings;
  readonly place: CredentialSource;
  /** `null` for a token at a backend that does not report whose it is. */
  readonly me: Me | null;
}

/**
 * Signs in and stores the sign-in and its profile. Checks everything that could fail locally before the first prompt, and
 * prompts before the first request.
 *
 * @param password of `options.email`, where it is known
 * @throws CliError `invalid_usage`, `keyring_unavailable`, `mfa_required`, `mfa_invalid`, `unauthenticated`,
 *   `access_denied`, `expired_token`; the codes of storing a sign-in
 */
export async function signInAndStore(
  options: LoginOptions,
  context: Context,
  password: string | null = null,
): Promise<Stored> {
  const target = await resolveTarget(context, options, true);
  assertSignInOffered(target, options.withToken);
  const method = signInMethod(options, context);
  if (method === "password" && password === null) assertCredentialsAvailable(options, context);
  const store = await context.credentials();
  const place = await choosePlace(options, context, store);
  await assertStorable(target, store, place);
  const email = method === "password" ? await emailFor(options, context) : null;
  const secret = method === "web" ? "" : (password ?? (await secretFor(options, context)));
  const credential =
    method === "web"
      ? await webCredential(options, context, target.apiUrl)
      : email === null
        ? tokenCredential(secret, target)
        : await passwordCredential(options, context, target.apiUrl, { email, password: secret });
  const me = await meWith(options, context, target, credential);
  if ("organizationId" in me) {
    const profile = { apiUrl: target.apiUrl, organizationId: me.organizationId, email: null };
    return await keep(options, context, { target, credential, store, place }, profile, null);
  }
  const [only, another] = me.organizations;
  const organizationId = target.organizationId ?? (only && !another ? only.id : null);
  const owned = { ...credential, email: me.user.email, scopes: me.token.scopes };
  const profile = { apiUrl: target.apiUrl, organizationId, email: me.user.email };
  return await keep(options, context, { target, credential: owned, store, place }, profile, me);
}

async function keep(
  options: LoginOptions,
  context: Context,
  storing: Storing,
  profile: ProfileSettings,
  me: Me | null,
): Promise<Stored> {
  const { target, place } = storing;
  await storeSignIn(storing);
  await saveProfile(options, context, target.profileName, profile);
  return { target, profile, place, me };
}

/**
 * Checks before the first request that the sign-in can be stored: otherwise it would stay valid at the backend, and have
 * used up a one-time code.
 */
function assertStorable({ profileName }: Target, store: CredentialStore, place: CredentialSource): Promise<void> {
  return store.exclusively(profileName, () => store.check(place));
}

/** Replaces the profile's sign-in, which another command may be renewing. */
function storeSignIn({ target: { profileName }, credential, store, place }: Storing): Promise<void> {
  return store.exclusively(profileName, () => store.write(profileName, credential, place));
}

/** Saves the profile. The first one becomes the active one. */
async function saveProfile(
  options: LoginOptions,
  context: Context,
  name: string,
  profile: ProfileSettings,
): Promise<void> {
  const isActiveNow = await (await context.settings()).saveProfile(name, profile);
  if (isActiveNow) note(context, options, `Switched to profile ${name}.`);
}

/** The way to sign in: given by the flags, otherwise the browser if prompts are allowed. */
function signInMethod(options: LoginOptions, context: Context): "web" | "password" | "token" {
  if (options.withToken) return "token";
  if (options.email !== null || options.passwordStdin || options.totp !== null) return "password";
  if (options.web || promptsAllowed(context, options)) return "web";
  throw usageError(
    "Cannot prompt to sign in",
    "Pass --email <email> and --password-stdin, --with-token, or --web to approve the sign-in in a browser.",
  );
}

/** Refuses to sign in if the email or password is not passed and there is no prompt. */
function assertCredentialsAvailable(options: LoginOptions, context: Context): void {
  const canAsk = promptsAllowed(context, options);
  if (!options.email && (!canAsk || options.passwordStdin)) {
    throw usageError("The email is required", "Pass --email <email>.");
  }
  if (!options.passwordStdin && !canAsk) {
    throw usageError("Cannot prompt for the password", "Pipe it in with --password-stdin.");
  }
}

async function emailFor(options: LoginOptions, context: Context): Promise<string> {
  if (options.email) return options.email;
  const email = (await (await openPrompter(context, options)).text("Email")).trim();
  if (email === "") throw usageError("The email is required", "Pass --email <email>.");
  return email;
}

async function secretFor(options: LoginOptions, context: Context): Promise<string> {
  const fromInput = options.withToken || options.passwordStdin;
  const what = options.withToken ? "token" : "password";
  if (fromInput) {
    // Enough for any token; input that never ends is cut off and refused as too long.
    const text = decodeText(await context.io.readInput(2 * MAX_TOKEN_BYTES)).trim();
    if (text === "") throw usageError(`No ${what} on stdin`, `Pipe it in, for example with \`< ${what}.txt\`.`);
    return text;
  }
  const password = await (await openPrompter(context, options)).secret("Password");
  if (password === "") throw usageError("The password is required", "Type it, or pipe it in with --password-stdin.");
  return password;
}

/**
 * Chooses where to store the sign-in, before a secret is sent: without a keyring a person is asked, and a script must pass
 * the flag (src/cli/README.md, Sign-in).
 */
async function choosePlace(options: LoginOptions, context: Context, store: CredentialStore): Promise<CredentialSource> {
  if (options.insecureStorage) return "file";
  try {
    await store.check("keyring");
    return "keyring";
  } catch (error) {
    if (codeOf(error) !== "keyring_unavailable" || !(error instanceof Error)) throw error;
    if (!promptsAllowed(context, options)) throw error;
    await confirmOrCancel(context, options, `${error.message}. Store the sign-in in a file that only you can read?`);
    return "file";
  }
}

function tokenCredential(accessToken: string, { apiUrl }: Target): StoredCredential {
  return { apiUrl, email: null, accessToken, accessExpiresAt: null, refreshToken: null, scopes: [] };
}

/** Reads who is signed in; from a backend without `GET /me`, the organization whose users the token lists. */
async function meWith(
  options: LoginOptions,
  context: Context,
  { apiUrl, organizationId }: Target,
  { accessToken }: StoredCredential,
): Promise<Me | { organizationId: number }> {
  const signIn = { isSession: false, accessToken: async () => accessToken, renewToken: async () => null };
  const client = await createTargetClient(context, options, apiUrl, signIn);
  try {
    return await withSpinner(context, options, "Checking who is signed in", client.me());
  } catch (error) {
    if (!options.withToken || !isMissing(error)) throw error;
    if (organizationId === null) throw organizationNotReported(error);
    await withSpinner(context, options, "Checking the token", client.usersPage(organizationId, 0));
    return { organizationId };
  }
}
