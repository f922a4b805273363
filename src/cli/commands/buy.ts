import { Argument, type Command } from "commander";
import type { Context } from "../context.ts";
import type { BuyRequest } from "../purchasing/request.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { readTotp, totpOption } from "./shared/oneTimeCode.ts";
import { amountText, idempotencyKey, shortText, wholeNumber } from "./shared/values.ts";
import { addWaitOptions, readWait, type WaitFlags, type WaitOptions } from "./shared/waitOptions.ts";

/** What `buy` was told. */
export interface BuyOptions extends WaitOptions, BuyRequest {
  readonly yes: boolean;
  readonly totp: string | null;
}

interface BuyFlags extends WaitFlags {
  yes?: boolean;
  maxTotal?: string;
  ifPurchased?: number;
  po?: string;
  note?: string;
  dryRun?: boolean;
  idempotencyKey?: string;
  totp?: string;
}

const KEYS = `
In a CI job that is known (GitHub, GitLab, CircleCI,
Jenkins, Buildkite, Azure) the same command in the same
pipeline run is the same purchase, however often the run is
tried again. Two equal purchases meant in one job, or in a
matrix, need a --note or an --idempotency-key of their own.`;

/** Registers `buy`. */
export function register(program: Command, context: Context, run: Run<BuyOptions> = load): void {
  const command = addCommand(program, {
    name: "buy",
    description: "Quote, confirm and purchase more licenses",
    examples: ["buy 5", "buy 5 --yes --max-total 300 --json"],
  })
    .addArgument(new Argument("<licenses>", "how many more").argParser(wholeNumber(1)))
    .option("--yes", "buy without asking")
    .option("--max-total <amount>", "buy only up to this total with tax, such as 500.00", amountText)
    .option("--if-purchased <n>", "buy only if this many licenses are purchased now", wholeNumber(0))
    .option("--po <number>", "purchase order number", shortText(100))
    .option("--note <text>", "a note on the purchase", shortText(500))
    .option("--dry-run", "quote and check the guards, buy nothing")
    .option("--idempotency-key <key>", "a key of your own: it buys once", idempotencyKey);
  addWaitOptions(command)
    .addOption(totpOption())
    .addHelpText("after", KEYS)
    .action((licenses: number, flags: BuyFlags, command: Command) => {
      const options = { ...readGlobals(command), ...read(licenses, flags) };
      return interruptible(context, () => run(options, context));
    });
}

function read(licenses: number, flags: BuyFlags): Omit<BuyOptions, keyof GlobalOptions> {
  return {
    licenses,
    yes: flags.yes === true,
    maxTotal: flags.maxTotal ?? null,
    ifPurchased: flags.ifPurchased ?? null,
    purchaseOrder: flags.po ?? null,
    note: flags.note ?? null,
    dryRun: flags.dryRun === true,
    explicitKey: flags.idempotencyKey ?? null,
    totp: readTotp(flags.totp),
    ...readWait(flags),
  };
}

const load: Run<BuyOptions> = async (options, context) => (await import("./run/buy.ts")).run(options, context);
