import { InvalidArgumentError } from "commander";
import type { Context } from "../context.ts";
import { CliError, codeOf, usageError } from "../errors.ts";
import { toAscii } from "./ascii.ts";
import { colorLevel } from "./color.ts";
import { isPlain } from "./plain.ts";
import type { Prompter } from "./prompter.ts";
import { wholeNumber } from "./values.ts";

/**
 * Whether a question may be asked: stdin and stderr are terminals, and neither `--no-input` nor `CI` forbids it
 * (src/cli/README.md, Prompts). `CI=false` and `CI=0` forbid nothing.
 */
export function promptsAllowed({ io, env }: Pick<Context, "io" | "env">, options: { input: boolean }): boolean {
  const inCi = env.CI !== undefined && !["", "false", "0"].includes(env.CI.toLowerCase());
  return io.stdinIsTerminal && io.stderrIsTerminal && options.input && !inCi;
}

/**
 * Stops a command that has to ask before it does something, where it cannot. Called before any request is sent.
 *
 * @param verb what `--yes` lets it do, such as `buy`
 * @throws CliError `invalid_usage`
 */
export function assertConsent(
  context: Pick<Context, "io" | "env">,
  options: { readonly yes: boolean; readonly dryRun?: boolean; readonly input: boolean },
  verb: string,
): void {
  if (options.yes || options.dryRun || promptsAllowed(context, options)) return;
  const { io } = context;
  const isTerminal = io.stdinIsTerminal && io.stderrIsTerminal;
  const why = !isTerminal ? "not a terminal" : options.input ? "CI is set" : "--no-input is set";
  throw usageError(`Cannot prompt for confirmation: ${why}`, `Pass --yes to ${verb} without a prompt.`);
}

/** What decides how questions look. */
interface AskingOptions {
  readonly color: boolean;
}

/** The prompter, in color where stderr may have it. Whatever moves on the terminal stands still while it asks. */
export async function openPrompter(context: Context, { color }: AskingOptions): Promise<Prompter> {
  const { io, env } = context;
  const prompter = await context.prompter({
    color: colorLevel({ env, isTerminal: io.stderrIsTerminal, color }) > 0,
    isPlain: isPlain(env),
  });
  const shown = io.isAscii ? toAscii : (question: string) => question;
  const alone = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
    const { animation } = context;
    animation?.pause();
    // Ended by its own means, the terminal would stay as the question had set it.
    const signals = (["SIGTERM", "SIGHUP"] as const).map((signal) => context.onSignal(signal, prompter.interrupt));
    try {
      return await ask();
    } finally {
      for (const stopListening of signals) stopListening();
      animation?.resume();
    }
  };
  return {
    confirm: (question) => alone(() => prompter.confirm(shown(question))),
    text: (question) => alone(() => prompter.text(shown(question))),
    secret: (question) => alone(() => prompter.secret(shown(question))),
    interrupt: prompter.interrupt,
  };
}

/**
 * Asks for a value until what is typed is one.
 *
 * @param parse throws commander's InvalidArgumentError with a sentence about what it must be, or gives `null`, which only
 *   asks again
 * @throws CliError `declined_by_person` after Ctrl-D, `interrupted` after Ctrl-C
 */
export async function askFor<Value>(
  context: Context,
  options: AskingOptions,
  question: string,
  parse: (text: string) => Value | null,
): Promise<Value> {
  const prompter = await openPrompter(context, options);
  for (;;) {
    try {
      const value = parse(await prompter.text(question));
      if (value !== null) return value;
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      context.io.note(`${error.message}\n`);
    }
  }
}

/**
 * Lets a person choose by number, the same on every terminal. Enter alone is the first choice.
 *
 * @returns the index of the choice
 * @throws CliError as `askFor`
 */
export async function choose(context: Context, options: AskingOptions, choices: readonly string[]): Promise<number> {
  context.io.note(`${choices.map((choice, index) => `  ${index + 1}. ${choice}\n`).join("")}`);
  const number = wholeNumber(1, choices.length);
  return (await askFor(context, options, `Choose 1 to ${choices.length} (1)`, (text) => number(text || "1"))) - 1;
}

/**
 * Asks for a yes before something is done. Whatever else is answered cancels the command.
 *
 * @param question a yes-or-no question
 * @param outcome what a canceled command leaves, a sentence without its end
 * @throws CliError `declined_by_person` after No or Ctrl-D, `interrupted` after Ctrl-C
 */
export async function confirmOrCancel(
  context: Context,
  options: AskingOptions,
  question: string,
  outcome = "Nothing was changed",
): Promise<void> {
  const message = `Canceled. ${outcome}`;
  const isYes = await (await openPrompter(context, options)).confirm(question).catch((error: unknown) => {
    throw codeOf(error) === "interrupted" ? new CliError("interrupted", message, { cause: error }) : error;
  });
  if (!isYes) throw new CliError("declined_by_person", message);
}
