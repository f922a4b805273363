import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";

/** What a command does: prints its result, or throws a typed error. */
export type Run<Options> = (options: Options, context: Context) => Promise<void>;

/**
 * Runs a command until it ends or a person interrupts it. What still runs then is stopped at once: it sends nothing, asks
 * nothing and writes nothing any more.
 *
 * @throws CliError `interrupted` with the command's last words
 */
export async function interruptible(context: Context, work: () => Promise<void>): Promise<void> {
  let interrupt: (reason: CliError) => void = () => {};
  const interrupted = new Promise<never>((_, reject) => {
    interrupt = reject;
  });
  const stopListening = context.onSignal("SIGINT", () => {
    const note = context.interruption;
    interrupt(new CliError("interrupted", note?.message ?? "", { hint: note?.hint }));
    void context.stop();
  });
  try {
    await Promise.race([work(), interrupted]);
  } finally {
    stopListening();
  }
}
