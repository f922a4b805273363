import type { Command } from "commander";
import { answerTo } from "../../completion/answer.ts";
import type { Shell } from "../../completion/shells.ts";
import type { Context } from "../../context.ts";

/**
 * Answers a shell's script. It never fails and says nothing on stderr, because somebody is typing; it reads nothing but
 * the settings, and those only where the name of a profile may stand.
 */
export async function run(shell: Shell, told: readonly string[], context: Context, program: Command): Promise<void> {
  const profileNames = () => context.profileNames().catch(() => []);
  const lines = await answerTo(shell, told, program, profileNames);
  await context.io.print(`${lines.join("\n")}\n`);
}
