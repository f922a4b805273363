import { type Command, Option } from "commander";
import { isMissing } from "../../client/missing.ts";
import { MAX_TOKEN_BYTES } from "../../client/token.ts";
import type { Me } from "../../contract/identity.ts";
import { createTargetClient } from "../connection/client.ts";
import { organizationNotReported } from "../connection/connect.ts";
import type { CredentialSource, CredentialStore, StoredCredential } from "../connection/credentials.ts";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import type { ProfileSettings } from "../connection/settings.ts";
import { assertSignInOffered, resolveTarget, type Target } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { codeOf, usageError } from "../errors.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { note, printResult, warn } from "../kit/output.ts";
import { confirmOrCancel, openPrompter, promptsAllowed } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { decodeText, withoutLineEnd } from "../kit/text.ts";
import { trimmedText } from "../kit/values.ts";
import { type LoginOptions, passwordCredential, webCredential } from "./signIn.ts";
import { identityOf, noteInvitations, renderIdentity } from "./whoami.ts";

interface LoginFlags {
  email?: string;
  passwordStdin?: boolean;
  totp?: string;
  insecureStorage?: boolean;
  web?: boolean;
  open: boolean;
  withToken?: boolean;
}

/** Registers `login`. */
export function register(program: Command, context: Context, run: Run<LoginOptions> = runLogin): void {
  addCommand(program, {
    name: "login",
    description: "Sign in with your browser, with email and password, or with a token",
    examples: ["login", "login --with-token < token.txt"],
  })
    .addOption(
      new Option("--web", "in the browser (the default in a terminal)").conflicts([
        "email",
        "passwordStdin",
        "totp",
        "withToken",
      ]),
    )
    .option("--no-open", "do not open the browser, only show the address")
    .option("--email <email>", "with this email, a password and a one-time code", trimmedText)
    .option("--password-stdin", "read the password from stdin")
    .addOption(totpOption())
    .addOption(new Option("--with-token", "read an API token from stdin").conflicts(["email", "passwordStdin", "totp"]))
    .option("--insecure-storage", "keep the sign-in in a file that only you can read, not in the system keyring")
    .action((flags: LoginFlags, command: Command) => {
      const options = {
        ...readGlobals(command),
        email: flags.email ?? null,
        passwordStdin: flags.passwordStdin === true,
        totp: readTotp(flags.totp),
        insecureStorage: flags.insecureStorage === true,
        web: flags.web === true,
        open: flags.open,
        withToken: flags.withToken === true,
      };
      return interruptible(context, () => run(options, context));
    });
}

/** What is kept of a sign-in, and where. */
interface Kept {
  readonly target: Target;
  readonly credential: StoredCredential;
  readonly store: CredentialStore;
  readonly place: CredentialSource;
}

/**
 * Signs in, keeps the sign-in, and prints who is signed in as `whoami` does. What cannot go on is refused before anything
 * is asked for, and everything is asked for before anything is sent.
 *
 * @throws CliError `invalid_usage`, `keyring_unavailable`, `mfa_required`, `mfa_invalid`, `unauthenticated`,
 *   `access_denied`, `expired_token`; CliError where the sign-in cannot be kept
 */
export async function runLogin(options: LoginOptions, context: Context): Promise<void> {
  const target = await resolveTarget(context, options, true);
  assertSignInOffered(target, options.withToken);
  const way = wayOf(options, context);
  if (way === "password") assertAnswered(options, context);
  const store = await context.credentials();
  const place = await placeFor(options, context, store);
  await assertKeepable(target, store, place);
  const email = way === "password" ? await emailFor(options, context) : null;
  const secret = way === "web" ? "" : await secretFor(options, context);
  const credential =
    way === "web"
      ? await webCredential(options, context, target.apiUrl)
      : email === null
        ? tokenCredential(secret, target)
        : await passwordCredential(options, context, target.apiUrl, { email, password: secret });
  const me = await meWith(options, context, target, credential);
  if ("organizationId" in me)
    return await keepUntold(options, context, { target, credential, store, place }, me.organizationId);
  const [only, another] = me.organizations;
  const organizationId = target.organizationId ?? (only && !another ? only.id : null);
  const owned = { ...credential, email: me.user.email, scopes: me.token.scopes };
  await keep({ target, credential: owned, store, place });
  const profile = { apiUrl: target.apiUrl, organizationId, email: me.user.email };
  await saveProfile(options, context, target.profileName, profile);
  const identity = identityOf(me, { ...target, profile, organizationId }, place);
  await printResult<"login">(context, options, identity, (view) => renderIdentity(identity, view));
  noteInvitations(context, options, me);
  noteEnvironment(options, context);
}

/**
 * Tries the place of the sign-in before anything is sent: one that cannot be kept would live on at the backend, and cost
 * a one-time code.
 */
function assertKeepable({ profileName }: Target, store: CredentialStore, place: CredentialSource): Promise<void> {
  return store.exclusively(profileName, () => store.check(place));
}

/** Stores a sign-in in the place of the profile's old one, which another command may just be renewing. */
function keep({ target: { profileName }, credential, store, place }: Kept): Promise<void> {
  return store.exclusively(profileName, () => store.write(profileName, credential, place));
}

/** A token for a backend that does not tell whose it is (details.md, 37): kept, with the organization it was tried on. */
async function keepUntold(options: LoginOptions, context: Context, kept: Kept, organizationId: number): Promise<void> {
  const { profileName, apiUrl } = kept.target;
  await keep(kept);
  await saveProfile(options, context, profileName, { apiUrl, organizationId, email: null });
  const token = { source: kept.place };
  const result = { user: null, organization: { id: organizationId }, apiUrl, profile: profileName, token };
  await printResult<"login">(
    context,
    options,
    result,
    () => `The token was stored for organization ${organizationId}; this backend does not tell whose it is.`,
  );
  noteEnvironment(options, context);
}

/** The first profile of all is the one that is used from now on; a further one only where it is named. */
async function saveProfile(
  options: LoginOptions,
  context: Context,
  name: string,
  profile: ProfileSettings,
): Promise<void> {
  const isActiveNow = await (await context.settings()).saveProfile(name, profile);
  if (isActiveNow) note(context, options, `The profile "${name}" is used from now on.`);
}

/** How to sign in: as the flags say, else in the browser where a person is there. */
function wayOf(options: LoginOptions, context: Context): "web" | "password" | "token" {
  if (options.withToken) return "token";
  if (options.email !== null || options.passwordStdin || options.totp !== null) return "password";
  if (options.web || promptsAllowed(context, options)) return "web";
  throw usageError(
    "How to sign in is missing, and nobody can be asked",
    "Say --email <email> with --password-stdin, --with-token, or --web to approve it in a browser.",
  );
}

function noteEnvironment(options: LoginOptions, context: Context): void {
  if (!context.env.SECUREFLAG_API_TOKEN) return;
  warn(context, options, "SECUREFLAG_API_TOKEN is set and is used instead of this sign-in.");
}

/** Refuses a sign-in whose email or password is not passed and cannot be asked for. */
function assertAnswered(options: LoginOptions, context: Context): void {
  const canAsk = promptsAllowed(context, options);
  if (!options.email && (!canAsk || options.passwordStdin)) {
    throw usageError("Who signs in is missing", "Say it with --email <email>.");
  }
  if (!options.passwordStdin && !canAsk) {
    throw usageError("The password is missing and nobody can be asked for it", "Pipe it in with --password-stdin.");
  }
}

async function emailFor(options: LoginOptions, context: Context): Promise<string> {
  if (options.email) return options.email;
  const email = (await (await openPrompter(context, options)).text("Email")).trim();
  if (email === "") throw usageError("Who signs in is missing", "Say it with --email <email>.");
  return email;
}

async function secretFor(options: LoginOptions, context: Context): Promise<string> {
  const fromInput = options.withToken || options.passwordStdin;
  const what = options.withToken ? "token" : "password";
  if (fromInput) {
    // A little more than any: what never ends is read no further, and refused as too long.
    const piped = decodeText(await context.io.readInput(2 * MAX_TOKEN_BYTES));
    const text = options.withToken ? piped.trim() : withoutLineEnd(piped);
    if (text === "") throw usageError(`There is no ${what} on stdin`, `Pipe it in, such as with \`< ${what}.txt\`.`);
    return text;
  }
  const password = await (await openPrompter(context, options)).secret("Password");
  if (password === "") throw usageError("The password is missing", "Type it, or pipe it in with --password-stdin.");
  return password;
}

/** Without a keyring a person is asked and a script must say so, before the secret is sent anywhere (security.md). */
async function placeFor(options: LoginOptions, context: Context, store: CredentialStore): Promise<CredentialSource> {
  if (options.insecureStorage) return "file";
  try {
    await store.check("keyring");
    return "keyring";
  } catch (error) {
    if (codeOf(error) !== "keyring_unavailable" || !(error instanceof Error)) throw error;
    if (!promptsAllowed(context, options)) throw error;
    await confirmOrCancel(context, options, `${error.message}. Keep the sign-in in a file that only you can read?`);
    return "file";
  }
}

function tokenCredential(accessToken: string, { apiUrl }: Target): StoredCredential {
  return { apiUrl, email: null, accessToken, accessExpiresAt: null, refreshToken: null, scopes: [] };
}

/** Who a sign-in belongs to; where the backend does not tell, the organization whose users the token opens. */
async function meWith(
  options: LoginOptions,
  context: Context,
  { apiUrl, organizationId }: Target,
  { accessToken }: StoredCredential,
): Promise<Me | { organizationId: number }> {
  const signIn = { isSession: false, accessToken: async () => accessToken, renewToken: async () => null };
  const client = await createTargetClient(context, options, apiUrl, signIn);
  try {
    return await withSpinner(context, options, "Asking who you are", client.me());
  } catch (error) {
    if (!options.withToken || !isMissing(error)) throw error;
    if (organizationId === null) throw organizationNotReported(error);
    await withSpinner(context, options, "Trying the token", client.usersPage(organizationId, 0));
    return { organizationId };
  }
}
