import { Argument, type Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { wholeNumber } from "./shared/values.ts";

/** What `quote` was told. */
export interface QuoteOptions extends GlobalOptions {
  readonly licenses: number;
  readonly explain: boolean;
}

/** Registers `quote`. */
export function register(program: Command, context: Context, run: Run<QuoteOptions> = load): void {
  addCommand(program, {
    name: "quote",
    description: "Price more licenses, prorated to the renewal date",
    examples: ["quote 5", "quote 5 --explain"],
  })
    .addArgument(new Argument("<licenses>", "how many more").argParser(wholeNumber(1)))
    .option("--explain", "show the arithmetic line by line")
    .action((licenses: number, flags: { explain?: boolean }, command: Command) => {
      const options = { ...readGlobals(command), licenses, explain: flags.explain === true };
      return interruptible(context, () => run(options, context));
    });
}

const load: Run<QuoteOptions> = async (options, context) => (await import("./run/quote.ts")).run(options, context);
