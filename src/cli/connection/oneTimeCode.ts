import { Option } from "commander";
import type { ClientOptions } from "../../client/call.ts";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import type { OutputOptions } from "../kit/output.ts";
import { openPrompter, promptsAllowed } from "../kit/prompt.ts";

/** What decides where a one-time code comes from. */
export interface OneTimeCodeOptions extends OutputOptions {
  readonly input: boolean;
  /** The value of `--totp`; left out by commands without the flag. */
  readonly totp?: string | null;
}

const MAX_QUESTIONS = 3;

const QUESTION = "One-time code from your authenticator app";

const QUESTION_AGAIN = "That code is wrong or was already used. Next code";

/** `--totp`, for a command that may need a one-time code; `readTotp` reads it. */
export function totpOption(): Option {
  return new Option("--totp <code>", "one-time code from your authenticator app");
}

/**
 * The code that `--totp` gave, without the spaces that apps show in it; `null` without the flag.
 *
 * @throws CliError `invalid_usage` for what is no code; it is not repeated, because it may be the secret itself
 */
export function readTotp(text: string | undefined): string | null {
  if (text === undefined) return null;
  const code = withoutSpaces(text);
  if (isCode(code)) return code;
  throw usageError("--totp is not a one-time code", "Pass the 6 digits that your authenticator app shows now.");
}

/**
 * Where one command's one-time codes come from: `--totp`, once, else a person who is asked up to three times. Each
 * question after the first says that the code before it was wrong. `null` where there is no further code.
 */
export function oneTimeCodes(context: Context, options: OneTimeCodeOptions): NonNullable<ClientOptions["oneTimeCode"]> {
  let asked = 0;
  return async () => {
    if (options.totp) {
      asked += 1;
      return asked === 1 ? options.totp : null;
    }
    while (asked < MAX_QUESTIONS && promptsAllowed(context, options)) {
      const prompter = await openPrompter(context, options);
      const code = withoutSpaces(await prompter.secret(asked === 0 ? QUESTION : QUESTION_AGAIN));
      asked += 1;
      // What cannot be a code costs no try at the backend, where tries are counted.
      if (isCode(code)) return code;
    }
    return null;
  };
}

function isCode(text: string): boolean {
  return /^\d{6,8}$/.test(text);
}

function withoutSpaces(text: string): string {
  return text.replaceAll(/\s/g, "");
}
