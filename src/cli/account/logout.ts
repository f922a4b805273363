import type { Command } from "commander";
import { resolveTarget } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { tokenVariable } from "../io.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult, warn } from "../kit/output.ts";
import { type EndedSignIn, endSignIn } from "./endSignIn.ts";

/** Registers `logout`. */
export function register(program: Command, context: Context, run: Run<GlobalOptions> = runLogout): void {
  addCommand(program, {
    name: "logout",
    examples: ["logout", "logout --profile work"],
  }).action((_flags: unknown, command: Command) => interruptible(context, () => run(readGlobals(command), context)));
}

/** What `logout --json` prints. */
export interface LogoutResult extends EndedSignIn {
  readonly profile: string;
}

/** Revokes the stored sign-in at its backend, and deletes it even if that fails. */
export async function runLogout(options: GlobalOptions, context: Context): Promise<void> {
  const { profileName } = await resolveTarget(context, { ...options, apiUrl: null });
  const result: LogoutResult = { profile: profileName, ...(await endSignIn(options, context, profileName)) };
  const variable = tokenVariable(context.env);
  if (variable !== null) warn(context, options, `${variable} is still set and still used.`);
  await printResult<"logout">(context, options, result, () =>
    result.removed ? "Signed out." : "There was no sign-in to forget.",
  );
}
