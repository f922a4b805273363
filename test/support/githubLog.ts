/** The commands that GitHub's runner finds in a log (actions/runner, `ActionCommandManager`). */
const REGISTERED = [
  "add-mask",
  "add-matcher",
  "add-path",
  "debug",
  "echo",
  "endgroup",
  "error",
  "group",
  "notice",
  "remove-matcher",
  "save-state",
  "set-env",
  "set-output",
  "stop-commands",
  "warning",
];

/** A command that was found in a log. */
export interface LogCommand {
  readonly name: string;
  readonly properties: string;
  readonly data: string;
}

/** What a step wrote, as the runner takes it apart. */
export interface Log {
  readonly commands: readonly LogCommand[];
  /** What is shown: every line that is no command. */
  readonly text: string;
}

/** A file of a step is not what the runner reads. */
class StepFileError extends Error {
  override readonly name = "StepFileError";
}

/** Reads a log line by line, as the runner does. */
export function readLog(written: string): Log {
  const lines = written.split(/\r\n|\r|\n/).map((line) => ({ line, command: commandIn(line) }));
  return {
    commands: lines.flatMap(({ command }) => command ?? []),
    text: lines.flatMap(({ line, command }) => (command ? [] : line)).join("\n"),
  };
}

/** `::name properties::data` at the beginning of a line, after white space too; else `##[name properties]data` in it. */
function commandIn(line: string): LogCommand | null {
  const second = /^::(.*?)::(.*)$/s.exec(line.trimStart());
  const first = /##\[(.*?)\](.*)$/s.exec(line);
  return commandOf(second) ?? commandOf(first);
}

function commandOf(match: RegExpExecArray | null): LogCommand | null {
  const [, info = "", data = ""] = match ?? [];
  const [name = "", ...properties] = info.split(" ");
  if (!REGISTERED.includes(name.toLowerCase())) return null;
  const unescaped = data.replaceAll("%0D", "\r").replaceAll("%0A", "\n").replaceAll("%25", "%");
  return { name: name.toLowerCase(), properties: properties.join(" "), data: unescaped };
}

/**
 * Reads the file that `GITHUB_OUTPUT` names, as the runner does: `name=value`, or `name<<delimiter` and the value's
 * lines up to the delimiter.
 *
 * @throws StepFileError
 */
export function readStepOutputs(text: string): Record<string, string> {
  const outputs: Record<string, string> = {};
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    const [, name = "", operator, rest = ""] = /^(.*?)(=|<<)(.*)$/s.exec(line) ?? [];
    if (line === "") continue;
    if (name === "" || operator === undefined) throw new StepFileError(`not an output: ${line}`);
    if (operator === "=") outputs[name] = rest;
    else {
      const end = lines.indexOf(rest, at + 1);
      if (rest === "" || end === -1) throw new StepFileError(`no end of ${line}`);
      outputs[name] = lines.slice(at + 1, end).join("\n");
      at = end;
    }
  }
  return outputs;
}
