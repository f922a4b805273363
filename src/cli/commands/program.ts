import { Command, CommanderError } from "commander";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { register as registerBuy } from "./buy.ts";
import { register as registerHelp } from "./help.ts";
import { register as registerLogin } from "./login.ts";
import { register as registerLogout } from "./logout.ts";
import { register as registerOrganizations } from "./organizations.ts";
import { register as registerPurchases } from "./purchases.ts";
import { register as registerQuote } from "./quote.ts";
import { register as registerSandbox } from "./sandbox.ts";
import { examplesText } from "./shared/command.ts";
import { addGlobalOptions } from "./shared/globals.ts";
import { reportFailure } from "./shared/report.ts";
import { register as registerStatus } from "./status.ts";
import { register as registerWhoami } from "./whoami.ts";

const HELP_WIDTH = 60;
const REGISTRATIONS: readonly Registration[] = [
  registerLogin,
  registerLogout,
  registerWhoami,
  registerStatus,
  registerQuote,
  registerBuy,
  registerPurchases,
  registerOrganizations,
  registerSandbox,
  registerHelp,
];

/** Adds a command, or a group of them, to the program. */
export type Registration = (program: Command, context: Context) => void;

/** The program with its commands; tests register some of them with runs of their own. */
export function createProgram(context: Context, registrations: readonly Registration[] = REGISTRATIONS): Command {
  const program = new Command("secureflag-licenses")
    .description("Buy SecureFlag licenses from the terminal and from CI")
    .enablePositionalOptions()
    .exitOverride()
    .configureHelp({ minWidthToWrap: 20 })
    .configureOutput({
      writeOut: (text) => void context.io.print(text),
      // What commander would write on stderr arrives as an error and is told like every other one.
      writeErr: () => {},
      outputError: () => {},
      getOutHelpWidth: () => HELP_WIDTH,
      getOutHasColors: () => false,
    })
    .addHelpText("after", examplesText(["sandbox", "buy 5"]));
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
  const program = createProgram(context);
  try {
    if (argv.length === 0) program.outputHelp();
    else await program.parseAsync([...argv], { from: "user" });
    return 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error, argv, context);
    return error.exitCode === 0 ? 0 : reportFailure(asUsageError(error, argv), argv, context);
  }
}

/** Commander's words, told as ours. Its suggestion of the nearest name becomes the hint. */
function asUsageError(error: CommanderError, argv: readonly string[]) {
  const help = "Run it with --help to see what it takes.";
  if (error.code === "commander.help") return usageError(`\`${argv.join(" ")}\` needs one of its commands`, help);
  const [message = "", suggestion] = error.message.replace(/^error: /, "").split(/\n\(?(?=Did you mean)/);
  return usageError(capitalized(message.trim()), suggestion?.trim().replace(/\)$/, "") ?? help);
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
