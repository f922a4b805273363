import { Argument, type Command } from "commander";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import type { OutputFile } from "./shared/outputFile.ts";
import { someText, wholeNumber } from "./shared/values.ts";

/** What `quote` was told. */
export interface QuoteOptions extends GlobalOptions {
  readonly licenses: number;
  readonly explain: boolean;
  /** Where the quote is written down to be reviewed and bought from later. */
  readonly save: OutputFile | null;
}

interface QuoteFlags {
  explain?: boolean;
  save?: string;
  force?: boolean;
}

/** Registers `quote`. */
export function register(program: Command, context: Context, run: Run<QuoteOptions> = load): void {
  addCommand(program, {
    name: "quote",
    description: "Price more licenses, prorated to the renewal date",
    examples: ["quote 5 --explain", "quote 5 --save quote.json"],
  })
    .addArgument(new Argument("<licenses>", "how many more").argParser(wholeNumber(1)))
    .option("--explain", "show the arithmetic line by line")
    .option("--save <file>", "write it down, to review it and `buy --from` it", someText)
    .option("--force", "replace the file if it exists")
    .action((licenses: number, flags: QuoteFlags, command: Command) => {
      const options = { ...readGlobals(command), licenses, explain: flags.explain === true, save: fileOf(flags) };
      return interruptible(context, () => run(options, context));
    });
}

function fileOf({ save, force = false }: QuoteFlags): OutputFile | null {
  if (save === undefined && force) throw usageError("--force is for a file, and there is none", "Name it with --save.");
  return save === undefined ? null : { path: save, force };
}

const load: Run<QuoteOptions> = async (options, context) => (await import("./run/quote.ts")).run(options, context);
