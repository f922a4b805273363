import { Argument, type Command } from "commander";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { addBuyingOptions, type BuyingFlags, type BuyingOptions, readBuying } from "./shared/buyOptions.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { readGlobals } from "./shared/globals.ts";
import { someText, wholeNumber } from "./shared/values.ts";

/** What `buy` was told: a number of licenses, or a quote file that says it. */
export interface BuyOptions extends BuyingOptions {
  readonly source: { readonly licenses: number } | { readonly file: string };
}

interface BuyFlags extends BuyingFlags {
  readonly from?: string;
}

const KEYS = `
In a CI job that is known (GitHub, GitLab, CircleCI,
Jenkins, Buildkite, Azure) the same command in the same
pipeline run is the same purchase, however often the run is
tried again. Two equal purchases meant in one job, or in a
matrix, need a --note or an --idempotency-key of their own.
A quote file buys once, from whatever machine.`;

/** Registers `buy`. */
export function register(program: Command, context: Context, run: Run<BuyOptions> = load): void {
  const command = addCommand(program, {
    name: "buy",
    group: "Licenses",
    description: "Quote, confirm and purchase more licenses",
    examples: ["buy 5", "buy 5 --yes --max-total 300 --json"],
  })
    .addArgument(new Argument("[licenses]", "how many more").argParser(wholeNumber(1)))
    .option("--from <file>", "buy what this file of `quote --save` says", someText);
  addBuyingOptions(command)
    .addHelpText("after", KEYS)
    .action((licenses: number | undefined, flags: BuyFlags, command: Command) => {
      const options = { ...readGlobals(command), ...readBuying(flags), source: sourceOf(licenses, flags) };
      return interruptible(context, () => run(options, context));
    });
}

function sourceOf(licenses: number | undefined, { from: file, idempotencyKey }: BuyFlags): BuyOptions["source"] {
  if (file !== undefined && idempotencyKey !== undefined) {
    throw usageError("A quote file has a key of its own, so that it is bought once", "Leave --idempotency-key out.");
  }
  if (licenses !== undefined && file === undefined) return { licenses };
  if (licenses === undefined && file !== undefined) return { file };
  throw usageError(
    licenses === undefined ? "How many licenses to buy is missing" : "A quote file says by itself how many to buy",
    "Say either a number, such as `buy 5`, or --from <file>.",
  );
}

const load: Run<BuyOptions> = async (options, context) => (await import("./run/buy.ts")).run(options, context);
