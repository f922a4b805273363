import { type Command, CommanderError } from "commander";
import type { Context } from "../context.ts";
import { colorLevel } from "../render/color.ts";
import { register as registerBuy } from "./buy.ts";
import { register as registerCompletion } from "./completion.ts";
import { register as registerHelp } from "./help.ts";
import { register as registerLicenses } from "./licenses.ts";
import { register as registerLogin } from "./login.ts";
import { register as registerLogout } from "./logout.ts";
import { register as registerOrganizations } from "./organizations.ts";
import { register as registerProfiles } from "./profiles.ts";
import { register as registerPurchases } from "./purchases.ts";
import { register as registerQuote } from "./quote.ts";
import { register as registerSandbox } from "./sandbox.ts";
import { ExampledCommand } from "./shared/command.ts";
import { addGlobalOptions } from "./shared/globals.ts";
import { commandOf, helpPage, helpWidth, seeAlso } from "./shared/helpPage.ts";
import { assertOptionValues } from "./shared/optionValues.ts";
import { register as registerStatus } from "./status.ts";
import { register as registerTokens } from "./tokens.ts";
import { register as registerTopUp } from "./topUp.ts";
import { register as registerUsers } from "./users.ts";
import { register as registerWhoami } from "./whoami.ts";

/** In the order in which the help lists them. */
const REGISTRATIONS: readonly Registration[] = [
  registerStatus,
  registerQuote,
  registerBuy,
  registerTopUp,
  registerLicenses,
  registerPurchases,
  registerUsers,
  registerLogin,
  registerLogout,
  registerWhoami,
  registerTokens,
  registerProfiles,
  registerOrganizations,
  registerSandbox,
  registerHelp,
  registerCompletion,
];

/** Adds a command, or a group of them, to the program. */
export type Registration = (program: Command, context: Context) => void;

/**
 * The program with its commands; tests register some of them with runs of their own.
 *
 * @param writeOut takes the help and the version, which commander writes by itself
 */
export function createProgram(
  context: Context,
  writeOut: (text: string) => void,
  registrations: readonly Registration[] = REGISTRATIONS,
): Command {
  const { io, env } = context;
  const program = new ExampledCommand("secureflag-licenses", ["sandbox", "buy 5"])
    .description("Buy SecureFlag licenses from the terminal and from CI")
    .enablePositionalOptions()
    // Ours knows more than commander's.
    .helpCommand(false)
    .exitOverride()
    .configureHelp({ minWidthToWrap: 20, formatHelp: helpPage, styleTitle: (title) => `\u001b[1m${title}\u001b[22m` })
    .configureOutput({
      writeOut,
      // What commander would write on stderr arrives as an error and is told like every other one.
      writeErr: () => {},
      outputError: () => {},
      getOutHelpWidth: () => helpWidth(io.columns),
      getOutHasColors: () => colorLevel({ env, isTerminal: io.stdoutIsTerminal, color: true }) > 0,
    })
    .addHelpText("afterAll", ({ command }) => seeAlso(command, helpWidth(io.columns)));
  for (const register of registrations) register(program, context);
  addGlobalOptions(program, context.version);
  return program;
}

/**
 * Parses the arguments and runs the command.
 *
 * @returns the exit code; failures have been told on stderr
 */
export async function runProgram(argv: readonly string[], context: Context): Promise<number> {
  let help = "";
  const program = createProgram(context, (text) => {
    help += text;
  });
  try {
    maskToken(argv, context);
    assertOptionValues(program, argv);
    await parse(program, argv);
    if (help !== "") await context.io.print(help);
    return 0;
  } catch (error) {
    // Loaded only now: most starts end well.
    const [{ reportFailure }, { asUsageError }] = await Promise.all([
      import("./shared/report.ts"),
      import("./shared/usage.ts"),
    ]);
    return reportFailure(error instanceof CommanderError ? asUsageError(error, argv, program) : error, argv, context);
  }
}

/** Whatever a step of GitHub Actions prints from here on, its token stays out of the log. */
function maskToken(argv: readonly string[], { env, io }: Context): void {
  // Under --json stderr holds nothing but the error.
  const token = env.SECUREFLAG_API_TOKEN?.trim();
  if (token && !argv.includes("--json")) io.workflowCommand("add-mask", token);
}

/**
 * Commander tells that it has shown its help or the version by an error, too. A group without one of its commands shows
 * its help, as the program does, but to a program that waits for JSON.
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
