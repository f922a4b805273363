import { type Command, CommanderError } from "commander";
import { CATALOGUE } from "./catalogue.ts";
import type { Context } from "./context.ts";
import { helpPage, seeAlso } from "./help/page.ts";
import { colorLevel } from "./kit/color.ts";
import { addGlobalOptions, assertOptionValues, commandOf, ExampledCommand } from "./kit/command.ts";
import { helpWidth } from "./kit/width.ts";

export { createContext } from "./context.ts";

/**
 * Runs the command line.
 *
 * @param argv the arguments after the script's name
 * @returns the exit code (src/cli/README.md, Exit codes); never throws
 */
export async function main(argv: readonly string[], context: Context): Promise<number> {
  try {
    if (argv[0] === "--version" || argv[0] === "-V") {
      await context.io.print(`${context.version}\n`);
      return 0;
    }
    return await runProgram(argv, context);
  } catch (error) {
    const { reportFailure } = await import("./kit/failure.ts");
    return reportFailure(error, argv, context);
  } finally {
    await context.end();
  }
}

/**
 * Creates the program with its commands.
 *
 * @param writeOut receives the help that Commander prints by itself
 * @param argv if given, only the commands that these arguments name are loaded; the others are listed in the help
 */
export async function createProgram(
  context: Context,
  writeOut: (text: string) => void,
  argv?: readonly string[],
): Promise<Command> {
  const program = emptyProgram(context, writeOut);
  const typed = argv?.join("\n");
  for (const { word, group, summary, load } of CATALOGUE) {
    if (typed !== undefined && !hasWord(typed, word)) {
      program.addCommand(new ExampledCommand(word, []).helpCommand(false), { hidden: group === null });
    } else (await load()).register(program, context);
    const command = program.commands.at(-1);
    if (group !== null) command?.summary(summary).helpGroup(`${group}:`);
    if (command?.description() === "") command.description(summary);
  }
  addGlobalOptions(program, context.version);
  return program;
}

/** Reports whether a text has a whole word; `--help` does not have `help`. */
function hasWord(text: string, word: string): boolean {
  return new RegExp(`(?<![\\w-])${word}(?![\\w-])`).test(text);
}

/** Whether the command will send a request; if its client cannot be loaded, that is reported when it needs the client. */
function connects(argv: readonly string[]): boolean {
  if (argv.includes("--help") || argv.includes("-h")) return false;
  const named = argv.map((argument) => CATALOGUE.find(({ word }) => word === argument)).find((entry) => entry);
  return named?.connects === true;
}

/** Creates the program without commands and global flags. */
export function emptyProgram(context: Context, writeOut: (text: string) => void): Command {
  const { io, env } = context;
  return (
    new ExampledCommand("secureflag-licenses", ["sandbox", "buy 5"])
      .description("Buy SecureFlag licenses from the terminal and from CI")
      .enablePositionalOptions()
      // Replaced by our own, which has topics.
      .helpCommand(false)
      .exitOverride()
      .configureHelp({ minWidthToWrap: 20, formatHelp: helpPage, styleTitle: (title) => `\u001b[1m${title}\u001b[22m` })
      .configureOutput({
        writeOut,
        // Commander throws what it would write to stderr; it is reported like every other error.
        writeErr: () => {},
        outputError: () => {},
        getOutHelpWidth: () => helpWidth(context),
        getOutHasColors: () => colorLevel({ env, isTerminal: io.stdoutIsTerminal, color: true }) > 0,
      })
      .addHelpText("afterAll", ({ command }) => seeAlso(command, helpWidth(context)))
  );
}

/**
 * Parses the arguments and runs the command.
 *
 * @returns the exit code; failures have been reported on stderr
 */
export async function runProgram(argv: readonly string[], context: Context): Promise<number> {
  let help = "";
  if (connects(argv)) void import("../client/client.ts").catch(() => {});
  const program = await createProgram(context, (text) => (help += text), argv);
  try {
    maskTokens(argv, context);
    assertOptionValues(program, argv);
    await parse(program, argv);
    if (help !== "") await context.io.print(help);
    return 0;
  } catch (error) {
    // Imported here, because most commands succeed.
    const { asUsageError, reportFailure } = await import("./kit/failure.ts");
    return reportFailure(error instanceof CommanderError ? asUsageError(error, argv, program) : error, argv, context);
  }
}

/** Masks the tokens of the environment in everything that a step of GitHub Actions prints from here on. */
function maskTokens(argv: readonly string[], { env, io }: Context): void {
  // With --json, stderr holds only the error.
  if (argv.includes("--json")) return;
  for (const token of [env.SECUREFLAG_API_TOKEN?.trim(), env.SECUREFLAG_ID_TOKEN?.trim()]) {
    if (token) io.workflowCommand("add-mask", token);
  }
}

/**
 * Parses the arguments and runs the command. Commander throws after it has shown help, too. A group without a subcommand
 * shows its help, unless JSON is expected.
 */
async function parse(program: Command, argv: readonly string[]): Promise<void> {
  try {
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === "commander.help" && !argv.includes("--json")) return commandOf(program, argv).outputHelp();
    if (error.exitCode !== 0) throw error;
  }
}
