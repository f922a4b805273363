import type { Me } from "../../../contract/identity.ts";
import type { Context } from "../../context.ts";
import { CliError, codeOf, usageError } from "../../errors.ts";
import { openPrompter, promptsAllowed } from "../../prompts/asking.ts";
import type { CredentialStore, StoredCredential } from "../../session/credentials.ts";
import type { LoginOptions } from "../login.ts";
import { createTargetClient, organizationUntold } from "../shared/connect.ts";
import { identityOf } from "../shared/identity.ts";
import { isMissing } from "../shared/missing.ts";
import { note, printResult } from "../shared/output.ts";
import { withSpinner } from "../shared/spinner.ts";
import { resolveTarget, type Target } from "../shared/target.ts";

/** What is kept of a sign-in, and where. */
interface Kept {
  readonly target: Target;
  readonly credential: StoredCredential;
  readonly store: CredentialStore;
  readonly allowFile: boolean;
}

/**
 * Signs in, keeps the sign-in, and prints who is signed in as `whoami` does. Everything that is missing is asked for
 * or refused before anything is sent.
 *
 * @throws CliError `invalid_usage`, `keyring_unavailable`, `mfa_required`, `unauthenticated`
 */
export async function run(options: LoginOptions, context: Context): Promise<void> {
  const target = await resolveTarget(context, options, true);
  const email = options.withToken ? null : await emailFor(options, context);
  const secret = await secretFor(options, context);
  const store = await context.credentials();
  const allowFile = await mayUseFile(options, context, store);
  const credential =
    email === null
      ? tokenCredential(secret, target)
      : await passwordCredential(options, context, target, { email, secret });
  const me = await meWith(options, context, target, credential);
  if (me === null) return await keepUntold(options, context, { target, credential, store, allowFile });
  const [only, another] = me.organizations;
  const organizationId = target.organizationId ?? (only && !another ? only.id : null);
  const source = await store.write(
    target.profileName,
    { ...credential, email: me.user.email, scopes: me.token.scopes },
    { allowFile },
  );
  const profile = { apiUrl: target.apiUrl, organizationId, email: me.user.email };
  await (await context.settings()).saveProfile(target.profileName, profile);
  const identity = identityOf(me, { ...target, profile, organizationId }, source);
  await printResult(context, options, identity, async (view) => {
    const { renderIdentity } = await import("../../render/identity.ts");
    return renderIdentity(identity, view);
  });
  noteEnvironment(options, context);
}

/** A token for a backend that does not tell whose it is (details.md, 37): kept, with the organization it was tried on. */
async function keepUntold(
  options: LoginOptions,
  context: Context,
  { target, credential, store, allowFile }: Kept,
): Promise<void> {
  const { profileName, apiUrl, organizationId } = target;
  const source = await store.write(profileName, credential, { allowFile });
  await (await context.settings()).saveProfile(profileName, { apiUrl, organizationId, email: null });
  const result = { user: null, organization: { id: organizationId }, apiUrl, profile: profileName, token: { source } };
  await printResult(
    context,
    options,
    result,
    () => `The token was stored for organization ${organizationId}; this backend does not tell whose it is.`,
  );
  noteEnvironment(options, context);
}

function noteEnvironment(options: LoginOptions, context: Context): void {
  if (!context.env.SECUREFLAG_API_TOKEN) return;
  note(context, options, "SECUREFLAG_API_TOKEN is set and is used instead of this sign-in.");
}

async function emailFor(options: LoginOptions, context: Context): Promise<string> {
  if (options.email) return options.email;
  if (!promptsAllowed(context, options) || options.passwordStdin) {
    throw usageError("Who signs in is missing", "Say it with --email <email>.");
  }
  const email = await (await openPrompter(context, options)).text("Email");
  if (email === "") throw usageError("Who signs in is missing", "Say it with --email <email>.");
  return email;
}

async function secretFor(options: LoginOptions, context: Context): Promise<string> {
  const fromInput = options.withToken || options.passwordStdin;
  const what = options.withToken ? "token" : "password";
  if (fromInput) {
    const secret = (await context.io.readInput()).replace(/\r?\n$/, "");
    const text = options.withToken ? secret.trim() : secret;
    if (text === "") throw usageError(`There is no ${what} on stdin`, `Pipe it in, such as from a file: < ${what}.txt`);
    return text;
  }
  if (!promptsAllowed(context, options)) {
    throw usageError("The password is missing and nobody can be asked for it", "Pipe it in with --password-stdin.");
  }
  const password = await (await openPrompter(context, options)).secret("Password");
  if (password === "") throw usageError("The password is missing", "Type it, or pipe it in with --password-stdin.");
  return password;
}

/** Without a keyring a person is asked and a script must say so, before the secret is sent anywhere (security.md). */
async function mayUseFile(options: LoginOptions, context: Context, store: CredentialStore): Promise<boolean> {
  if (options.insecureStorage || (await hasKeyring(store))) return options.insecureStorage;
  const hint = "Say --insecure-storage to keep it in a file that only you can read, or set SECUREFLAG_API_TOKEN.";
  const missing = new CliError("keyring_unavailable", "There is no system keyring to keep the sign-in in", { hint });
  if (!promptsAllowed(context, options)) throw missing;
  const question = "There is no system keyring. Keep the sign-in in a file that only you can read?";
  if (await (await openPrompter(context, options)).confirm(question)) return true;
  throw new CliError("declined_by_person", "Nothing was sent, and you are not signed in", { hint });
}

/** Tried with a sign-in that is none, under a name that no profile has, so that a real one is never touched. */
async function hasKeyring(store: CredentialStore): Promise<boolean> {
  const name = "(keyring check)";
  const none: StoredCredential = {
    apiUrl: "https://localhost",
    email: null,
    accessToken: "none",
    accessExpiresAt: null,
    refreshToken: null,
    scopes: [],
  };
  try {
    await store.write(name, none, { allowFile: false });
  } catch (error) {
    if (codeOf(error) === "keyring_unavailable") return false;
    throw error;
  }
  await store.remove(name);
  return true;
}

function tokenCredential(accessToken: string, { apiUrl }: Target): StoredCredential {
  return { apiUrl, email: null, accessToken, accessExpiresAt: null, refreshToken: null, scopes: [] };
}

async function passwordCredential(
  options: LoginOptions,
  context: Context,
  { apiUrl }: Target,
  { email, secret }: { email: string; secret: string },
): Promise<StoredCredential> {
  const client = await createTargetClient(context, options, apiUrl, null);
  const answer = await withSpinner(context, options, "Signing in", client.login({ email, password: secret })).catch(
    (error: unknown) => {
      throw codeOf(error) === "unauthenticated" ? wrongPassword(error) : error;
    },
  );
  if (answer.status === "mfa_required") {
    throw new CliError("mfa_required", "This user signs in with a one-time code, which this version does not support", {
      hint: "Nothing was stored. Set SECUREFLAG_API_TOKEN to an API token instead.",
    });
  }
  const accessExpiresAt = context.clock.now() + answer.expiresIn * 1000;
  const { accessToken, refreshToken, scopes } = answer;
  return { apiUrl, email, accessToken, accessExpiresAt, refreshToken, scopes };
}

function wrongPassword(cause: unknown): CliError {
  return new CliError("unauthenticated", "The email or the password is wrong", {
    hint: "Nothing was stored. Try again; after several wrong tries sign-in is paused for 15 minutes.",
    cause,
  });
}

/** Who a sign-in belongs to; `null` where the backend does not tell and the token opens the organization's users. */
async function meWith(
  options: LoginOptions,
  context: Context,
  { apiUrl, organizationId }: Target,
  { accessToken }: StoredCredential,
): Promise<Me | null> {
  const signIn = { accessToken: async () => accessToken, renewToken: async () => null };
  const client = await createTargetClient(context, options, apiUrl, signIn);
  try {
    return await withSpinner(context, options, "Asking who you are", client.me());
  } catch (error) {
    if (!options.withToken || !isMissing(error)) throw error;
    if (organizationId === null) throw organizationUntold(error);
    await withSpinner(context, options, "Trying the token", client.usersPage(organizationId, 0));
    return null;
  }
}
