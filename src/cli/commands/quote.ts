import { Argument, type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import type { OutputFile } from "./shared/outputFile.ts";
import { countList, someText, wholeNumber } from "./shared/values.ts";

/** What is to be priced: one number of licenses, perhaps on dates to come; or several to compare. */
type Priced =
  | { readonly licenses: number; readonly when: boolean; readonly explain: boolean; readonly save: OutputFile | null }
  | { readonly compare: readonly number[] };

/** What `quote` was told. `save` is where the quote is written down to be reviewed and bought from later. */
export interface QuoteOptions extends GlobalOptions {
  readonly priced: Priced;
}

interface QuoteFlags {
  explain?: boolean;
  save?: string;
  force?: boolean;
  compare?: number[];
  when?: boolean;
}

/** Registers `quote`. */
export function register(program: Command, context: Context, run: Run<QuoteOptions> = load): void {
  addCommand(program, {
    name: "quote",
    group: "Licenses",
    description: "Price more licenses, prorated to the renewal date",
    examples: ["quote 5 --explain", "quote --compare 1,5,10,25"],
  })
    .addArgument(new Argument("[licenses]", "how many more").argParser(wholeNumber(1)))
    .option("--explain", "show the arithmetic line by line")
    .addOption(
      new Option("--compare <numbers>", "what several numbers cost, such as 1,5,10")
        .argParser(countList)
        .conflicts(["explain", "when", "save"]),
    )
    .addOption(new Option("--when", "what they cost in the months to come").conflicts(["explain", "save"]))
    .option("--save <file>", "write it down, to review it and `buy --from` it", someText)
    .option("--force", "replace the file if it exists")
    .action((licenses: number | undefined, flags: QuoteFlags, command: Command) => {
      const options = { ...readGlobals(command), priced: pricedBy(licenses, flags) };
      return interruptible(context, () => run(options, context));
    });
}

function pricedBy(licenses: number | undefined, flags: QuoteFlags): Priced {
  const { compare, when = false, explain = false } = flags;
  const save = fileOf(flags);
  if (licenses !== undefined && compare === undefined) return { licenses, when, explain, save };
  if (licenses === undefined && compare !== undefined) return { compare };
  throw usageError(
    licenses === undefined ? "How many licenses to price is missing" : "--compare says by itself how many to price",
    "Say either a number, such as `quote 5`, or several, such as --compare 1,5,10.",
  );
}

function fileOf({ save, force = false }: QuoteFlags): OutputFile | null {
  if (save === undefined && force)
    throw usageError("--force is for a file, and there is none", "Name it with --save <file>.");
  return save === undefined ? null : { path: save, force };
}

const load: Run<QuoteOptions> = async (options, context) => (await import("./run/quote.ts")).run(options, context);
