import { Command } from "commander";
import type { Context } from "../context.ts";

/** Settles at the first signal. A second one kills the process, in case closing hangs. */
export function endSignal(context: Context): Promise<void> {
  let end = () => {};
  const ended = new Promise<void>((done) => {
    end = done;
  });
  const stops = (["SIGINT", "SIGTERM"] as const).map((signal) =>
    context.onSignal(signal, () => {
      for (const stop of stops) stop();
      end();
    }),
  );
  return ended;
}

/**
 * Refuses excess arguments of a command that has subcommands and an action, and suggests the nearest subcommand, which
 * Commander does only for commands without an action.
 */
export function refuseUnknown({ args, commands }: Command): void {
  const group = new Command()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpOption(false)
    .helpCommand(false);
  for (const command of commands) group.command(command.name());
  group.parse(args, { from: "user" });
}
