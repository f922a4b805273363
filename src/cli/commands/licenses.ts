import { Argument, type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { readTotp, totpOption } from "./shared/oneTimeCode.ts";
import { wholeNumber } from "./shared/values.ts";

/** What `licenses reduce` was told. */
export interface ReduceOptions extends GlobalOptions {
  /** How many licenses there are to be from the renewal on; `null` takes a scheduled reduction back. */
  readonly licenses: number | null;
  readonly yes: boolean;
  readonly ifPurchased: number | null;
  readonly dryRun: boolean;
  readonly totp: string | null;
}

interface ReduceFlags {
  readonly cancel?: boolean;
  readonly yes?: boolean;
  readonly ifPurchased?: number;
  readonly dryRun?: boolean;
  readonly totp?: string;
}

const TERMS = `
It costs nothing and takes effect on the renewal date; until
then every license stays. Licenses that are bought meanwhile
come on top, and those in use on that day are all renewed.`;

/** Registers `licenses reduce`. */
export function register(program: Command, context: Context, run: Run<ReduceOptions> = load): void {
  const group = addCommand(program, {
    name: "licenses",
    group: "Licenses",
    description: "Have fewer licenses from the next renewal on",
    examples: ["licenses reduce 20", "licenses reduce --cancel"],
  });
  addCommand(group, {
    name: "reduce",
    description: "Schedule fewer licenses for the renewal date, or take that back",
    examples: ["licenses reduce 20 --if-purchased 25", "licenses reduce --cancel"],
  })
    .addArgument(new Argument("[n]", "so many licenses from the renewal on").argParser(wholeNumber(0)))
    .addOption(new Option("--cancel", "keep all licenses: take the scheduled reduction back"))
    .option("--yes", "do it without asking")
    .option("--if-purchased <n>", "only if this many licenses are purchased now", wholeNumber(0))
    .option("--dry-run", "say what would be done, change nothing")
    .addOption(totpOption())
    .addHelpText("after", TERMS)
    .action((licenses: number | undefined, flags: ReduceFlags, command: Command) => {
      const options = {
        ...readGlobals(command),
        licenses: countOf(licenses, flags.cancel === true),
        yes: flags.yes === true,
        ifPurchased: flags.ifPurchased ?? null,
        dryRun: flags.dryRun === true,
        totp: readTotp(flags.totp),
      };
      return interruptible(context, () => run(options, context));
    });
}

function countOf(licenses: number | undefined, cancel: boolean): number | null {
  if ((licenses === undefined) === cancel) return licenses ?? null;
  throw usageError(
    cancel ? "A reduction cannot be both scheduled and canceled" : "How many licenses there are to be is missing",
    "Say either a number, such as `licenses reduce 20`, or --cancel.",
  );
}

const load: Run<ReduceOptions> = async (options, context) =>
  (await import("./run/licensesReduce.ts")).run(options, context);
