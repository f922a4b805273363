import { emitKeypressEvents, type Key } from "node:readline";
import type { Readable, Writable } from "node:stream";
import inquirer from "inquirer";
import stringWidth from "string-width";
import { CliError } from "../errors.ts";
import { readTyped } from "./typed.ts";

/**
 * Asks a person. Every question is drawn on stderr, and only what is typed after it appeared answers it. Ctrl-C ends the
 * command with `interrupted`; Ctrl-D is No, and ends a question for a text with `declined_by_person`.
 */
export interface Prompter {
  /** A yes-or-no question: `y` or `yes` is Yes, any other line is No. */
  confirm(question: string): Promise<boolean>;
  text(question: string): Promise<string>;
  /** A secret: what is typed is masked. */
  secret(question: string): Promise<string>;
  /** Ends the question that is being asked as Ctrl-C does. */
  interrupt(): void;
}

/** How questions are drawn on a terminal. */
export interface PrompterStyle {
  readonly color: boolean;
  /** Whether no escape sequence is written and nothing is drawn again. */
  readonly isPlain: boolean;
}

type Terminal = { readonly input: NodeJS.ReadStream; readonly output: NodeJS.WriteStream };

type Question = { readonly type: "input" | "password"; readonly message: string; readonly [setting: string]: unknown };

const plain = (text: string) => text;

const PLAIN_STYLE = { answer: plain, message: plain, error: plain, defaultAnswer: plain, help: plain };

/** A prompter on a terminal. */
export function createPrompter(terminal: Terminal, style: PrompterStyle): Prompter {
  let interrupt = () => {};
  const ask = (question: Question, deliberate = false) =>
    askOn(terminal, question, style, deliberate, (onInterrupt) => {
      interrupt = onInterrupt;
    });
  const required = (answer: string | null) => {
    if (answer === null) throw new CliError("declined_by_person", "Canceled. Nothing was changed");
    return answer;
  };
  return {
    async confirm(question) {
      const transformer = (text: string, { isFinal }: { isFinal: boolean }) =>
        isFinal ? (isYes(text) ? "Yes" : "No") : text;
      const answer = await ask({ type: "input", message: `${question} (y/N)`, transformer }, true);
      return answer !== null && isYes(answer);
    },
    text: async (message) => required(await ask({ type: "input", message })).trim(),
    secret: async (message) => required(await ask({ type: "password", message, mask: "*" })),
    interrupt: () => interrupt(),
  };
}

function isYes(text: string): boolean {
  return /^[ \t]*y(es)?[ \t]*$/i.test(text);
}

/**
 * Asks one question.
 *
 * @returns `null` where no answer can come any more: after Ctrl-D, or where the terminal is gone
 * @throws CliError `interrupted` after Ctrl-C
 */
async function askOn(
  terminal: Terminal,
  question: Question,
  { color, isPlain }: PrompterStyle,
  deliberate: boolean,
  begun: (onInterrupt: () => void) => void,
): Promise<string | null> {
  const { output } = terminal;
  if (terminal.input.readableEnded || terminal.input.destroyed) return null;
  const ended = new AbortController();
  let isInterrupted = false;
  const onInterrupt = () => {
    isInterrupted = true;
    ended.abort();
  };
  begun(onInterrupt);
  const typed = readTyped(terminal, { deliberate, marksPastes: !isPlain, onInterrupt });
  const { stream: input } = typed;
  // Whatever closes the line editor pauses its input; after an answer that comes too late to matter.
  input.once("pause", () => ended.abort());
  try {
    await Promise.race([typed.ready, new Promise((done) => ended.signal.addEventListener("abort", done))]);
    if (isPlain) {
      output.write(`? ${question.message} `);
      const answer = await readPlainLine(input, output, {
        isSecret: question.type === "password",
        signal: ended.signal,
      });
      if (isInterrupted) throw interrupted();
      return answer;
    }
    const prompt = inquirer.createPromptModule({ input: input as never, output, signal: ended.signal });
    // The question mark stays: a green tick after a No would look like success.
    const theme = color ? { prefix: "\u001b[34m?\u001b[39m" } : { prefix: "?", style: PLAIN_STYLE };
    const { answer } = await prompt<{ answer: string }>([{ ...question, name: "answer", theme } as never]);
    return answer;
  } catch (cause) {
    if (!(cause instanceof Error) || !["ExitPromptError", "AbortPromptError"].includes(cause.name)) throw cause;
    if (isInterrupted) throw interrupted(cause);
    return null;
  } finally {
    typed.close();
  }
}

function interrupted(cause?: unknown): CliError {
  return new CliError("interrupted", "Canceled. Nothing was changed", { cause });
}

/** Takes the last column back, as a terminal's own line editing does (POSIX, ECHOE). */
const ERASE = "\b \b";

/** How a line is read. */
interface PlainLineOptions {
  /** Whether nothing of what is typed is shown. */
  readonly isSecret: boolean;
  /** Ends the reading without an answer. */
  readonly signal: AbortSignal;
}

/**
 * Reads one line from a terminal in raw mode without an escape sequence: what is typed is echoed, Backspace takes the
 * last character back, Ctrl-U all of them; other keys do nothing.
 *
 * @returns `null` after Ctrl-D on an empty line, where the input ends, and after the signal
 */
export function readPlainLine(
  input: Readable,
  output: Writable,
  { isSecret, signal }: PlainLineOptions,
): Promise<string | null> {
  const typed: string[] = [];
  const echo = (text: string) => {
    if (!isSecret) output.write(text);
  };
  const takeBack = () => echo(ERASE.repeat(stringWidth(typed.pop() ?? "")));
  return new Promise((done) => {
    const finish = (answer: string | null) => {
      input.off("keypress", onKey).off("end", onEnd);
      signal.removeEventListener("abort", onEnd);
      output.write("\n");
      done(answer);
    };
    const onEnd = () => finish(null);
    const onKey = (text: string | undefined, { name, ctrl = false, meta = false, sequence = "" }: Key) => {
      if (name === "return" || name === "enter") return finish(typed.join(""));
      if (ctrl && name === "d" && typed.length === 0) return finish(null);
      if (ctrl && name === "u") while (typed.length > 0) takeBack();
      else if (name === "backspace") takeBack();
      else if (text !== undefined && !ctrl && !meta && !/\p{Control}/u.test(sequence)) {
        typed.push(text);
        echo(text);
      }
    };
    if (signal.aborted) return finish(null);
    signal.addEventListener("abort", onEnd);
    emitKeypressEvents(input);
    input.on("keypress", onKey).on("end", onEnd).resume();
  });
}
