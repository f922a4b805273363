/** The environment as it is passed in. */
type Environment = Readonly<Record<string, string | undefined>>;

/** The workflow commands that are used here. */
export type WorkflowCommand = "error" | "add-mask";

/** Whether this runs as a step of GitHub Actions, which reads what is written as a log for commands. */
export function isOnGithub(env: Environment): boolean {
  return env.GITHUB_ACTIONS === "true";
}

/** A workflow command on a line of its own; its value is escaped as GitHub's toolkit does it. */
export function workflowCommand(command: WorkflowCommand, value: string): string {
  const escaped = value.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  return `::${command}::${escaped}\n`;
}

/**
 * A text in which GitHub finds no command: `::name::` at the beginning of a line, after white space too, and the older
 * `##[name]` anywhere. A character without width goes between.
 */
export function withoutCommands(text: string): string {
  return text.replace(/^([^\S\n]*:)(?=:)/gmu, "$1\u200b").replaceAll("##[", "##\u200b[");
}

/**
 * Values for the file that GITHUB_OUTPUT names. Each stands between delimiters that nobody can guess, so that no value
 * can end early and set another (GitHub, "Workflow commands", multiline strings).
 *
 * @param delimiter random, and in no value
 */
export function stepOutputs(values: Readonly<Record<string, string>>, delimiter: string): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}<<${delimiter}\n${value}\n${delimiter}\n`)
    .join("");
}
