import { Argument, type Command } from "commander";
import { SHELLS, type Shell } from "../completion/shells.ts";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";

/** What `completion` was told. */
export interface CompletionOptions extends GlobalOptions {
  readonly shell: Shell;
}

const INSTALL = `
bash, in ~/.bashrc:
  eval "$(secureflag-licenses completion bash)"
zsh, in ~/.zshrc:
  eval "$(secureflag-licenses completion zsh)"
fish, once:
  secureflag-licenses completion fish > \\
    ~/.config/fish/completions/secureflag-licenses.fish
PowerShell, in $PROFILE:
  secureflag-licenses completion powershell |
    Out-String | Invoke-Expression`;

/** Registers `completion <shell>`, and the hidden `complete` that its scripts call. */
export function register(program: Command, context: Context, run: Run<CompletionOptions> = load): void {
  addCommand(program, {
    name: "completion",
    group: "Help",
    description: "Print the script that completes commands, flags and profiles with Tab",
    summary: "Print the script for completion with Tab",
    examples: ["completion bash", "completion zsh"],
  })
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .addHelpText("after", INSTALL)
    .action((shell: Shell, _flags: unknown, command: Command) =>
      interruptible(context, () => run({ ...readGlobals(command), shell }, context)),
    );
  program
    .command("complete", { hidden: true })
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .argument("[told...]")
    .action(async (shell: Shell, told: string[]) =>
      (await import("./run/complete.ts")).run(shell, told, context, program),
    );
}

const load: Run<CompletionOptions> = async (options, context) =>
  (await import("./run/completion.ts")).run(options, context);
