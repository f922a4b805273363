import { type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import type { LicenseTarget } from "../purchasing/wanted.ts";
import { addBuyingOptions, type BuyingFlags, type BuyingOptions, readBuying } from "./shared/buyOptions.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { readGlobals } from "./shared/globals.ts";
import { wholeNumber } from "./shared/values.ts";

/** What `top-up` was told. */
export interface TopUpOptions extends BuyingOptions {
  readonly target: LicenseTarget;
}

interface TopUpFlags extends BuyingFlags {
  readonly available?: number;
  readonly purchased?: number;
}

const SAFE = `
Licenses of purchases that are still in progress count as
there. Run it as often as you like, from any number of jobs:
a target is reached once.`;

/** Registers `top-up`. */
export function register(program: Command, context: Context, run: Run<TopUpOptions> = load): void {
  const command = addCommand(program, {
    name: "top-up",
    group: "Licenses",
    description: "Buy only what is missing to reach a target",
    examples: ["top-up --available 5", "top-up --purchased 50 --yes --max-total 500 --json"],
  })
    .addOption(
      new Option("--available <n>", "so many licenses are to be available")
        .argParser(wholeNumber(0))
        .conflicts("purchased"),
    )
    .option("--purchased <n>", "so many licenses are to be purchased", wholeNumber(0));
  addBuyingOptions(command)
    .addHelpText("after", SAFE)
    .action((flags: TopUpFlags, command: Command) => {
      const options = { ...readGlobals(command), ...readBuying(flags), target: targetOf(flags) };
      return interruptible(context, () => run(options, context));
    });
}

function targetOf({ available, purchased }: TopUpFlags): LicenseTarget {
  if (available !== undefined) return { available };
  if (purchased !== undefined) return { purchased };
  throw usageError("The target of the top-up is missing", "Say one of --available <n> and --purchased <n>.");
}

const load: Run<TopUpOptions> = async (options, context) => (await import("./run/topUp.ts")).run(options, context);
