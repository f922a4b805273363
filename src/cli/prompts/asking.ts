import type { Context } from "../context.ts";
import { colorLevel } from "../render/color.ts";
import type { Prompter } from "./prompter.ts";

/**
 * Whether a question may be asked: stdin and stderr are terminals, and neither `--no-input` nor `CI` forbids it
 * (cli.md, Prompts). `CI=false` and `CI=0` forbid nothing.
 */
export function promptsAllowed({ io, env }: Pick<Context, "io" | "env">, options: { input: boolean }): boolean {
  const inCi = env.CI !== undefined && !["", "false", "0"].includes(env.CI.toLowerCase());
  return io.stdinIsTerminal && io.stderrIsTerminal && options.input && !inCi;
}

/** The prompter, in color where stderr may have it. Whatever moves on the terminal stands still while it asks. */
export async function openPrompter(context: Context, { color }: { color: boolean }): Promise<Prompter> {
  const { io, env } = context;
  const prompter = await context.prompter(colorLevel({ env, isTerminal: io.stderrIsTerminal, color }) > 0);
  const alone = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
    const { animation } = context;
    animation?.pause();
    try {
      return await ask();
    } finally {
      animation?.resume();
    }
  };
  return {
    confirm: (question) => alone(() => prompter.confirm(question)),
    text: (question) => alone(() => prompter.text(question)),
    secret: (question) => alone(() => prompter.secret(question)),
  };
}
