import { type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { someText } from "./shared/values.ts";

/** What `login` was told. */
export interface LoginOptions extends GlobalOptions {
  readonly email: string | null;
  readonly passwordStdin: boolean;
  readonly insecureStorage: boolean;
  /** The token itself comes on stdin. */
  readonly withToken: boolean;
}

interface LoginFlags {
  email?: string;
  passwordStdin?: boolean;
  insecureStorage?: boolean;
  withToken?: boolean;
}

/** Registers `login`. */
export function register(program: Command, context: Context, run: Run<LoginOptions> = load): void {
  addCommand(program, {
    name: "login",
    description: "Sign in with email and password, or with a token",
    examples: ["login --email ada@example.com", "login --with-token < token.txt"],
  })
    .option("--email <email>", "who signs in", someText)
    .option("--password-stdin", "read the password from stdin")
    .addOption(new Option("--with-token", "read an API token from stdin").conflicts(["email", "passwordStdin"]))
    .option("--insecure-storage", "without a system keyring, keep the sign-in in a file that only you can read")
    .action((flags: LoginFlags, command: Command) => {
      const options = {
        ...readGlobals(command),
        email: flags.email ?? null,
        passwordStdin: flags.passwordStdin === true,
        insecureStorage: flags.insecureStorage === true,
        withToken: flags.withToken === true,
      };
      return interruptible(context, () => run(options, context));
    });
}

const load: Run<LoginOptions> = async (options, context) => (await import("./run/login.ts")).run(options, context);
