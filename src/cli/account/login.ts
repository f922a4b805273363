import { type Command, Option } from "commander";
import { readTotp, totpOption } from "../connection/oneTimeCode.ts";
import { canonicalUrl } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { tokenVariable } from "../io.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult, warn } from "../kit/output.ts";
import { clean } from "../kit/text.ts";
import { trimmedText } from "../kit/values.ts";
import type { LoginOptions } from "./signIn.ts";
import { type Stored, signInAndStore } from "./signInAndStore.ts";
import { identityOf, noteInvitations, renderIdentity } from "./whoami.ts";

/** The options of the command. */
export interface LoginCommandOptions extends LoginOptions {
  /** Sign in to the running sandbox as its administrator. */
  readonly sandbox: boolean;
}

interface LoginFlags {
  email?: string;
  passwordStdin?: boolean;
  totp?: string;
  insecureStorage?: boolean;
  web?: boolean;
  open: boolean;
  withToken?: boolean;
  sandbox?: boolean;
}

/** Registers `login`. */
export function register(program: Command, context: Context, run: Run<LoginCommandOptions> = runLogin): void {
  addCommand(program, {
    name: "login",
    description: "Sign in with your browser, with email and password, or with a token",
    examples: ["login", "login --with-token < token.txt"],
  })
    .addOption(
      new Option("--web", "sign in with a browser (default in a terminal)").conflicts([
        "email",
        "passwordStdin",
        "totp",
        "withToken",
      ]),
    )
    .option("--no-open", "print the address instead of opening a browser")
    .option("--email <email>", "sign in with this email and a password", trimmedText)
    .option("--password-stdin", "read the password from stdin; requires --email")
    .addOption(totpOption())
    .addOption(new Option("--with-token", "read an API token from stdin").conflicts(["email", "passwordStdin", "totp"]))
    .addOption(
      new Option("--sandbox", "sign in to the running sandbox").conflicts([
        "web",
        "email",
        "passwordStdin",
        "withToken",
      ]),
    )
    .option("--insecure-storage", "store the sign-in in a file that only you can read, instead of the system keyring")
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
        sandbox: flags.sandbox === true,
      };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Signs in, stores the sign-in, and prints who is signed in, as `whoami` does.
 *
 * @throws CliError as `signInAndStore`
 */
export async function runLogin(options: LoginCommandOptions, context: Context): Promise<void> {
  const stored = options.sandbox
    ? await (await import("./sandboxSignIn.ts")).signInToSandbox(options, context)
    : await signInAndStore(options, context);
  await printStored(options, context, stored);
  if (stored.me) noteInvitations(context, options, stored.me);
  noteEnvironment(stored, options, context);
}

async function printStored(options: LoginOptions, context: Context, stored: Stored): Promise<void> {
  const { me, target, profile, place } = stored;
  const { apiUrl, organizationId } = profile;
  if (me !== null) {
    const identity = identityOf(me, { ...target, profile, organizationId }, place);
    await printResult<"login">(context, options, identity, (view) => renderIdentity(identity, view));
    return;
  }
  const id = Number(organizationId);
  const result = {
    user: null,
    organization: { id },
    apiUrl,
    profile: target.profileName,
    token: { source: place },
  };
  await printResult<"login">(
    context,
    options,
    result,
    () => `Stored the token for organization ${id}. This backend does not report who it belongs to.`,
  );
}

/** Warns of variables with which later commands would not use this sign-in. */
function noteEnvironment({ target }: Stored, options: LoginOptions, context: Context): void {
  const variable = tokenVariable(context.env);
  if (variable !== null) warn(context, options, `${variable} is set and takes precedence over this sign-in.`);
  const { SECUREFLAG_API_URL: address = "" } = context.env;
  if (address !== "" && canonicalUrl(address) !== target.apiUrl) {
    warn(context, options, `SECUREFLAG_API_URL is set to ${clean(address)} and takes precedence over this profile.`);
  }
}
