import {
  accessSync,
  appendFileSync,
  chmodSync,
  chownSync,
  constants,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { isMissing } from "../files/errno.ts";
import { assertWritable, makeOutputDirectory, whyUnread, writeOutputFile } from "../files/files.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import type { Shell } from "./page.ts";

/** What was installed or removed, and where. */
export interface CompletionFiles {
  readonly shell: Shell;
  /** Absolute paths. */
  readonly files: string[];
  readonly installed: boolean;
}

interface InstallOptions extends GlobalOptions {
  readonly yes: boolean;
}

const NAMES = ["secureflag-licenses", "sfl"];

/** What every script has in its first lines, so that a file of somebody else is known. */
const OURS = /completion for secureflag-licenses$/m;

/** Says nothing in new terminals once the program is gone. */
const BLOCK = `# >>> secureflag-licenses completion >>>
if command -v secureflag-licenses >/dev/null; then eval "$(secureflag-licenses completion zsh)"; fi
# <<< secureflag-licenses completion <<<
`;

/** A block of any version, also one that was edited. */
const ANY_BLOCK =
  /^# >>> secureflag-licenses completion >>>\r?\n.*?^# <<< secureflag-licenses completion <<<(?:\r?\n)?/ms;

/**
 * Finds the shell by SHELL.
 *
 * @throws CliError `invalid_usage` for one without completion
 */
export function shellOf({ SHELL = "" }: Context["env"]): Shell {
  const name = SHELL.slice(SHELL.lastIndexOf("/") + 1);
  if (name === "bash" || name === "zsh" || name === "fish") return name;
  throw usageError("Cannot tell your shell", "Name it: `secureflag-licenses completion bash --install`.");
}

/**
 * Installs the completion of a shell for the next terminal: for bash and fish as files in the directories that they look
 * in, for zsh as three lines in `.zshrc`, after asking. Installing again replaces what was installed.
 *
 * @throws CliError `invalid_usage` for PowerShell, without HOME, and without consent; `file_exists` for a file of somebody
 *   else; `file_not_written`
 */
export async function installCompletion(
  shell: Shell,
  script: string,
  options: InstallOptions,
  context: Context,
): Promise<CompletionFiles> {
  const files = filesOf(shell, context.env);
  if (shell === "zsh") await addBlock(files[0] ?? "", options, context);
  else {
    for (const path of files) assertOurs(path);
    for (const path of files) writeScript(path, script, context);
  }
  return { shell, files, installed: true };
}

/**
 * Removes what `installCompletion` installed, and nothing else.
 *
 * @throws CliError as `installCompletion`
 */
export function uninstallCompletion(shell: Shell, { env, pid }: Context): CompletionFiles {
  const files = filesOf(shell, env).filter((path) =>
    shell === "zsh" ? ANY_BLOCK.test(read(path) ?? "") : isOurs(path),
  );
  for (const path of files) writing(path, () => (shell === "zsh" ? removeBlock(path, pid) : rmSync(path)));
  return { shell, files, installed: false };
}

function filesOf(shell: Shell, env: Context["env"]): string[] {
  if (shell === "powershell")
    throw usageError(
      "Cannot install the completion of PowerShell",
      "Add the lines of `completion --help` to $PROFILE.",
    );
  const { HOME = "" } = env;
  if (!isAbsolute(HOME)) throw usageError("Cannot find your home directory", "Set HOME to its path.");
  // XDG Base Directory Specification: a relative path is ignored.
  const place = (variable: string, ...below: string[]) => {
    const named = env[variable] ?? "";
    return isAbsolute(named) ? named : join(HOME, ...below);
  };
  if (shell === "zsh") return [join(place("ZDOTDIR"), ".zshrc")];
  if (shell === "fish")
    return NAMES.map((name) => join(place("XDG_CONFIG_HOME", ".config"), "fish/completions", `${name}.fish`));
  const data = join(place("XDG_DATA_HOME", ".local", "share"), "bash-completion");
  const { BASH_COMPLETION_USER_DIR: chosen = "" } = env;
  return NAMES.map((name) => join(isAbsolute(chosen) ? chosen : data, "completions", name));
}

function assertOurs(path: string): void {
  if (read(path) === null || isOurs(path)) return;
  const hint = "It is not a completion of this program. Move it away first.";
  throw new CliError("file_exists", `${path} already exists`, { hint });
}

function writeScript(path: string, script: string, context: Context): void {
  makeOutputDirectory(dirname(path));
  assertWritable({ path, force: true });
  writeOutputFile({ path, force: true }, Buffer.from(script), context);
}

function isOurs(path: string): boolean {
  const text = read(path);
  return text !== null && OURS.test(text);
}

async function addBlock(path: string, options: InstallOptions, context: Context): Promise<void> {
  const there = read(path) ?? "";
  if (ANY_BLOCK.test(there)) return;
  assertConsent(context, options, "change it");
  if (!options.yes) await confirmOrCancel(context, options, `Add three lines to ${path}?`);
  // Appended, so that it stays the file that it is, with its mode, or what a link points to.
  writing(path, () => appendFileSync(path, `${there === "" || there.endsWith("\n") ? "" : "\n"}${BLOCK}`));
}

function removeBlock(path: string, pid: number): void {
  const file = realpathSync(path);
  accessSync(file, constants.W_OK);
  const temporary = `${file}.${pid}.tmp`;
  const { mode, uid, gid } = statSync(file);
  try {
    // As Latin-1, which keeps every byte of whatever encoding the rest has.
    const rest = readFileSync(file, "latin1").replace(ANY_BLOCK, "");
    writeFileSync(temporary, rest, { encoding: "latin1", mode: 0o600, flag: "wx" });
    chownSync(temporary, uid, gid);
    chmodSync(temporary, mode & 0o7777);
    renameSync(temporary, file);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (isMissing(cause)) return null;
    throw new CliError("file_not_written", `Cannot read ${path}: ${whyUnread(cause)}`, { cause });
  }
}

function writing<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    throw new CliError("file_not_written", `Cannot write ${path}: ${whyUnread(cause)}`, { cause });
  }
}
