import inquirer from "inquirer";
import { CliError } from "../errors.ts";

/** Asks a person. Every question is drawn on stderr; Ctrl-C and Ctrl-D end the command with `interrupted`. */
export interface Prompter {
  /** A yes-or-no question; Enter alone is No. */
  confirm(question: string): Promise<boolean>;
  text(question: string): Promise<string>;
  /** A secret: what is typed is masked. */
  secret(question: string): Promise<string>;
}

const plain = (text: string) => text;
const PLAIN_THEME = {
  prefix: { idle: "?", done: "?" },
  style: { answer: plain, message: plain, error: plain, defaultAnswer: (text: string) => `(${text})`, help: plain },
};

type Terminal = { readonly input: NodeJS.ReadStream; readonly output: NodeJS.WriteStream };
type Module = ReturnType<typeof inquirer.createPromptModule>;

/** A prompter on a terminal, colored or not. */
export function createPrompter(terminal: Terminal, color: boolean): Prompter {
  const asked = { name: "answer", ...(!color && { theme: PLAIN_THEME }) } as const;
  const ask = <Answer>(question: (prompt: Module) => Promise<{ answer: Answer }>) => askOn(terminal, question);
  return {
    confirm: (message) => ask((prompt) => prompt([{ ...asked, type: "confirm", message, default: false }])),
    text: async (message) => (await ask((prompt) => prompt([{ ...asked, type: "input", message }]))).trim(),
    secret: (message) => ask((prompt) => prompt([{ ...asked, type: "password", message, mask: "*" }])),
  };
}

/**
 * Asks one question. Where no answer can come any more, because of Ctrl-C, Ctrl-D or a terminal that went away, the
 * command is interrupted: the library itself would wait for ever, and the process end as if all were well.
 */
async function askOn<Answer>(
  terminal: Terminal,
  question: (prompt: Module) => Promise<{ answer: Answer }>,
): Promise<Answer> {
  const { input } = terminal;
  const closed = new AbortController();
  const close = () => closed.abort();
  if (input.readableEnded || input.destroyed) close();
  // Whatever closes the line editor pauses its input; after an answer that comes too late to matter.
  input.once("pause", close);
  try {
    return (await question(inquirer.createPromptModule({ ...terminal, signal: closed.signal }))).answer;
  } catch (cause) {
    const isEnd = cause instanceof Error && ["ExitPromptError", "AbortPromptError"].includes(cause.name);
    throw isEnd ? new CliError("interrupted", "", { cause }) : cause;
  } finally {
    input.off("pause", close);
  }
}
