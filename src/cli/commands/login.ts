import { type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { readTotp, totpOption } from "./shared/oneTimeCode.ts";
import { trimmedText } from "./shared/values.ts";

/** What `login` was told. */
export interface LoginOptions extends GlobalOptions {
  readonly email: string | null;
  readonly passwordStdin: boolean;
  readonly totp: string | null;
  readonly insecureStorage: boolean;
  /** In the browser, also where nobody could be asked here. */
  readonly web: boolean;
  /** False with `--no-open`: the approval page is not opened in a browser. */
  readonly open: boolean;
  /** The token itself comes on stdin. */
  readonly withToken: boolean;
}

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
export function register(program: Command, context: Context, run: Run<LoginOptions> = load): void {
  addCommand(program, {
    name: "login",
    group: "Sign-in",
    description: "Sign in with your browser, with email and password, or with a token",
    summary: "Sign in with your browser, a password or a token",
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

const load: Run<LoginOptions> = async (options, context) => (await import("./run/login.ts")).run(options, context);
