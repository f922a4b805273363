import inquirer from "inquirer";
import { CliError } from "../errors.ts";

/** Asks a person. Every question is drawn on stderr; Ctrl-C ends the command with `interrupted`. */
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

/** A prompter on a terminal, colored or not. */
export function createPrompter(
  terminal: { input: NodeJS.ReadStream; output: NodeJS.WriteStream },
  color: boolean,
): Prompter {
  const prompt = inquirer.createPromptModule(terminal);
  const asked = { name: "answer", ...(!color && { theme: PLAIN_THEME }) } as const;
  return {
    confirm: async (message) => (await ask(prompt([{ ...asked, type: "confirm", message, default: false }]))).answer,
    text: async (message) => (await ask(prompt([{ ...asked, type: "input", message }]))).answer.trim(),
    secret: async (message) => (await ask(prompt([{ ...asked, type: "password", message, mask: "*" }]))).answer,
  };
}

async function ask<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (cause) {
    if (cause instanceof Error && cause.name === "ExitPromptError") throw new CliError("interrupted", "", { cause });
    throw cause;
  }
}
