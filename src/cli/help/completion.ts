import { Argument, type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult } from "../kit/output.ts";
import { clean } from "../kit/text.ts";
import type { CompletionFiles } from "./installCompletion.ts";
import { SHELLS, type Shell } from "./page.ts";

/** Options of `completion`. */
export interface CompletionOptions extends GlobalOptions {
  /** `null` for the shell in use. */
  readonly shell: Shell | null;
  readonly install: boolean;
  readonly uninstall: boolean;
  readonly yes: boolean;
}

const BY_HAND = `
--install writes files for bash and fish, and asks before it
adds three lines to ~/.zshrc. For bash, it requires the
bash-completion package. To set it up by hand:

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

interface CompletionFlags {
  readonly install?: boolean;
  readonly uninstall?: boolean;
  readonly yes?: boolean;
}

/** Registers `completion [shell]`. */
export function register(program: Command, context: Context, run: Run<CompletionOptions> = runCompletion): void {
  addCommand(program, {
    name: "completion",
    description: "Print or install a shell script that completes commands, flags and profiles",
    examples: ["completion --install", "completion zsh"],
  })
    .addArgument(new Argument("[shell]", "shell; required without --install or --uninstall").choices(SHELLS))
    .addOption(new Option("--install", "install completion for your shell").conflicts("uninstall"))
    .option("--uninstall", "remove what --install installed")
    .option("--yes", "change .zshrc without a prompt")
    .addHelpText("after", BY_HAND)
    .action((shell: Shell | undefined, flags: CompletionFlags, command: Command) => {
      const { install = false, uninstall = false, yes = false } = flags;
      if (shell === undefined && !install && !uninstall) {
        throw usageError("Missing argument: <shell>", "Example: `secureflag-licenses completion bash`");
      }
      const options = { ...readGlobals(command), shell: shell ?? null, install, uninstall, yes };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Prints the completion script of a shell, installs it, or removes it.
 *
 * @throws CliError as `installCompletion`
 */
export async function runCompletion(options: CompletionOptions, context: Context): Promise<void> {
  if (options.shell !== null && !options.install && !options.uninstall) {
    const { shell } = options;
    const script = SCRIPTS[shell];
    await printResult<"completion">(context, options, { shell, script }, () => script.trimEnd());
    return;
  }
  const { installCompletion, shellOf, uninstallCompletion } = await import("./installCompletion.ts");
  const shell = options.shell ?? shellOf(context.env);
  const changed = options.install
    ? await installCompletion(shell, SCRIPTS[shell], options, context)
    : uninstallCompletion(shell, context);
  await printResult<"completion">(context, options, changed, () => renderFiles(changed));
}

function renderFiles({ files, installed }: CompletionFiles): string {
  if (files.length === 0) return "No completion is installed.";
  const list = files.map((file) => `  ${clean(file)}`).join("\n");
  return installed ? `Installed, for the next terminal that you open:\n${list}` : `Removed from:\n${list}`;
}

/*
 * Each script asks the program for completions, and never runs or expands what was typed or answered: no `eval`, no
 * `compgen -W`, no joining of words. If the program is missing or fails, files are completed.
 */

const BASH = `# bash completion for secureflag-licenses
# In ~/.bashrc: eval "$(secureflag-licenses completion bash)"
_secureflag_licenses() {
  local line kind=
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ -z $kind ]]; then kind=$line; else COMPREPLY+=("$line"); fi
  done < <(command secureflag-licenses complete bash -- "$COMP_WORDBREAKS" "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
  # The bash of macOS has no compopt, and offers files where there is nothing else.
  case $kind in
    words) compopt +o default 2>/dev/null ;;
    directories) compopt +o default -o dirnames 2>/dev/null ;;
  esac
}
complete -o default -F _secureflag_licenses secureflag-licenses sfl
`;

const ZSH = `#compdef secureflag-licenses sfl
# zsh completion for secureflag-licenses
# In ~/.zshrc: eval "$(secureflag-licenses completion zsh)"
_secureflag-licenses() {
  local -a lines
  lines=("\${(@f)$(command secureflag-licenses complete zsh -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  case $lines[1] in
    words)
      shift lines
      _describe -t values secureflag-licenses lines
      ;;
    directories)
      compset -P '--*='
      _files -/
      ;;
    *)
      compset -P '--*='
      _files
      ;;
  esac
}
if [[ $funcstack[1] == _secureflag-licenses ]]; then
  _secureflag-licenses "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i; }
  compdef _secureflag-licenses secureflag-licenses sfl
fi
`;

const FISH = `# fish completion for secureflag-licenses
# Once: secureflag-licenses completion fish > ~/.config/fish/completions/secureflag-licenses.fish
function __secureflag_licenses
    set -l words (commandline -opc)
    set -e words[1]
    set -l word (commandline -ct)
    set -l lines (command secureflag-licenses complete fish -- $words "$word" 2>/dev/null)
    set -l kind $lines[1]
    set -e lines[1]
    set -l flag (string match -r -- '^--[^=]*=' "$word"); or set flag ''
    set -l path (string replace -r -- '^--[^=]*=' '' "$word")
    switch "$kind"
        case words
        case directories
            set lines $flag(__fish_complete_directories "$path")
        case '*'
            set lines $flag(complete -C "'' $path")
    end
    for line in $lines
        printf '%s\\n' $line
    end
end
complete -c secureflag-licenses -f -a '(__secureflag_licenses)'
complete -c sfl -f -a '(__secureflag_licenses)'
`;

const POWERSHELL = `# PowerShell completion for secureflag-licenses
# In $PROFILE: secureflag-licenses completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName secureflag-licenses, sfl -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements |
        Select-Object -Skip 1 |
        Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object {
            if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text }
        })
    $encoding = [Console]::OutputEncoding
    try {
        [Console]::OutputEncoding = [System.Text.Encoding]::UTF8
        $lines = @(secureflag-licenses complete powershell -- @words "=$wordToComplete" 2>$null)
    } finally {
        [Console]::OutputEncoding = $encoding
    }
    $lines | Select-Object -Skip 1 | ForEach-Object {
        $word, $name, $meaning = $_ -split "\`t", 3
        [System.Management.Automation.CompletionResult]::new($word, $name, 'ParameterValue', $meaning)
    }
}
`;

/** The completion scripts. */
export const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH, powershell: POWERSHELL };
