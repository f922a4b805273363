import { fstatSync, writeSync } from "node:fs";
import type { Readable } from "node:stream";
import { isatty } from "node:tty";
import { CliError } from "./errors.ts";
import { toAscii } from "./kit/ascii.ts";

/** The three streams and what is known of them. */
export interface Io {
  readonly stdinIsTerminal: boolean;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** The width of the terminal, where there is one. */
  readonly columns: number | undefined;
  /** Whether terminals show nothing but ASCII. */
  readonly isAscii: boolean;
  /** Everything on stdin, or a little more than `most` bytes of it where there are so many. */
  readInput(most?: number): Promise<Buffer>;
  /**
   * Writes a text, or bytes as they are, to stdout, and settles when all of it has left.
   *
   * @returns whether it was taken: a reader that went away is no error, but has not seen it
   * @throws CliError `output_not_written`
   */
  print(output: string | Uint8Array): Promise<boolean>;
  /**
   * Writes to stderr, where a terminal that is not UTF-8 gets ASCII.
   *
   * @param isData whether programs read it, so that it is written as it is
   */
  note(text: string, isData?: boolean): void;
  /** Writes a command for GitHub Actions on stderr if it reads it; returns whether it does. */
  workflowCommand(command: WorkflowCommand, value: string): boolean;
  /** Opens stdin, for a protocol that is read and answered message by message. */
  openInput(): Readable;
  /** The raw streams that a prompt and a spinner draw on. */
  terminal(): { input: NodeJS.ReadStream; output: NodeJS.WriteStream };
}

/** How long a command lasts. */
export interface Lifetime {
  hasEnded(): boolean;
  end(): void;
  sleep(milliseconds: number): Promise<void>;
}

/** The maximum delay of a timer in Node.js; beyond it, the timer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** What an interrupted command left running must stop: once the command has ended, its waits never end. */
export function createLifetime(): Lifetime {
  const timers = new Set<NodeJS.Timeout>();
  let ended = false;
  return {
    hasEnded: () => ended,
    end: () => {
      ended = true;
      for (const timer of timers) clearTimeout(timer);
    },
    sleep: (milliseconds) =>
      new Promise((done) => {
        if (ended) return;
        const timer = setTimeout(
          () => {
            timers.delete(timer);
            done();
          },
          Math.min(milliseconds, MAX_TIMER_MS),
        );
        timers.add(timer);
      }),
  };
}

/** The streams of a process, as far as they are used here. `stdin` is opened by being looked at. */
type Streams = Pick<NodeJS.Process, "stdin" | "stdout" | "stderr">;

/**
 * What a command reads from and writes to.
 *
 * @param onGithub whether what is written is read for workflow commands: then no other text may hold one
 * @param isAscii whether terminals show nothing but ASCII
 */
export function processIo(
  streams: Streams,
  lifetime: Lifetime,
  { onGithub, isAscii }: { readonly onGithub: boolean; readonly isAscii: boolean },
): Io & { close(): void } {
  const { stdout, stderr } = streams;
  const stderrIsTerminal = isatty(2);
  let opened = false;
  // Every write reports its own failure; a failure of stderr cannot be reported.
  stdout.on("error", () => {});
  stderr.on("error", () => {});
  const stdin = () => {
    opened = true;
    return streams.stdin;
  };
  return {
    stdinIsTerminal: isatty(0),
    stdoutIsTerminal: isatty(1),
    stderrIsTerminal,
    // A terminal whose size was never set reports 0.
    columns: stdout.columns || stderr.columns || undefined,
    isAscii,
    readInput: async (most = Number.POSITIVE_INFINITY) => {
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of stdin()) {
        size += chunks[chunks.push(Buffer.from(chunk)) - 1]?.length ?? 0;
        if (size > most) break;
      }
      return Buffer.concat(chunks);
    },
    print: (output) =>
      new Promise((done, fail) => {
        if (lifetime.hasEnded()) return;
        if (isFile(stdout.fd)) {
          writeWhole(stdout.fd, output);
          done(true);
          return;
        }
        stdout.write(output, (error: NodeJS.ErrnoException | null | undefined) => {
          // A reader such as `head` that has seen enough is no failure of ours.
          if (!error || error.code === "EPIPE") done(!error);
          else fail(outputError(error));
        });
      }),
    note: (text, isData = false) => {
      if (lifetime.hasEnded()) return;
      const written = isAscii && stderrIsTerminal && !isData ? toAscii(text) : text;
      stderr.write(onGithub ? withoutCommands(written) : written);
    },
    workflowCommand: (command, value) => {
      // No runner reads a file, and a mask would leave the secret in it.
      if (!onGithub || lifetime.hasEnded() || isFile(stderr.fd)) return false;
      stderr.write(workflowCommand(command, value));
      return true;
    },
    openInput: stdin,
    terminal: () => ({ input: stdin(), output: stderr }),
    close: () => {
      if (!opened) return;
      if (streams.stdin.isTTY && streams.stdin.isRaw) streams.stdin.setRawMode(false);
      streams.stdin.destroy();
    },
  };
}

/**
 * Writes everything to a file. A stream of Node's writes once and does not notice that a full disk took only a part.
 *
 * @throws CliError `output_not_written`
 */
function writeWhole(file: number, output: string | Uint8Array): void {
  try {
    for (let rest = Buffer.from(output); rest.length > 0; ) rest = rest.subarray(writeSync(file, rest));
  } catch (error) {
    throw outputError(error instanceof Error ? error : new TypeError(String(error)));
  }
}

function isFile(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFile();
  } catch {
    return false;
  }
}

function outputError(cause: Error): CliError {
  return new CliError("output_not_written", "Cannot write the output", { cause });
}

/** The environment as it is passed in. */
type Environment = Readonly<Record<string, string | undefined>>;

/** The workflow commands that are used here. */
export type WorkflowCommand = "error" | "warning" | "notice" | "add-mask";

/** Whether this runs as a step of GitHub Actions, which reads what is written as a log for commands. */
export function isOnGithub(env: Environment): boolean {
  return env.GITHUB_ACTIONS === "true";
}

/** The variable that a token comes from, which is used before any stored sign-in; `null` if none is set. */
export function tokenVariable(env: Environment): "SECUREFLAG_API_TOKEN" | "SECUREFLAG_API_TOKEN_FILE" | null {
  if (env.SECUREFLAG_API_TOKEN) return "SECUREFLAG_API_TOKEN";
  return env.SECUREFLAG_API_TOKEN_FILE ? "SECUREFLAG_API_TOKEN_FILE" : null;
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
 * Values for the file that GITHUB_OUTPUT names. Each stands between unguessable delimiters, so that no value
 * can end early and set another (GitHub, "Workflow commands", multiline strings).
 *
 * @param delimiter random, and in no value
 */
export function stepOutputs(values: Readonly<Record<string, string>>, delimiter: string): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}<<${delimiter}\n${value}\n${delimiter}\n`)
    .join("");
}
