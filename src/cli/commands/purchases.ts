import { Argument, type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import type { WaitOptions } from "./shared/purchasingTools.ts";
import { someText, wholeNumber } from "./shared/values.ts";

/** What `purchases list` was told. */
export interface ListOptions extends GlobalOptions {
  readonly limit: number | null;
  readonly all: boolean;
  readonly status: string | null;
}

/** What `purchases show` and `purchases receipt` were told. */
export interface PurchaseOptions extends GlobalOptions {
  readonly purchaseId: string;
}

/** What the commands of the group do. */
export interface PurchasesRuns {
  readonly list: Run<ListOptions>;
  readonly show: Run<PurchaseOptions>;
  readonly receipt: Run<PurchaseOptions>;
  readonly resume: Run<WaitOptions>;
}

const STATUSES = ["processing", "requires_approval", "succeeded", "failed", "needs_review"];

/** Registers `purchases list | show | receipt | resume`. */
export function register(program: Command, context: Context, runs: PurchasesRuns = load): void {
  const group = addCommand(program, {
    name: "purchases",
    description: "List purchases, show one or its receipt, resume",
    examples: ["purchases list", "purchases resume"],
  });
  registerList(group, context, runs.list);
  registerOne(group, context, runs.show, { name: "show", description: "Show one purchase" });
  registerOne(group, context, runs.receipt, { name: "receipt", description: "Show a purchase's receipt" });
  registerResume(group, context, runs.resume);
}

function registerList(group: Command, context: Context, run: Run<ListOptions>): void {
  addCommand(group, {
    name: "list",
    description: "List purchases, newest first",
    examples: ["purchases list", "purchases list --all --status succeeded --json"],
  })
    .addOption(new Option("--limit <n>", "at most this many (default: 100)").argParser(wholeNumber(1)).conflicts("all"))
    .option("--all", "every purchase")
    .addOption(new Option("--status <status>", "only those").choices(STATUSES))
    .action((flags: { limit?: number; all?: boolean; status?: string }, command: Command) => {
      const { limit = null, all = false, status = null } = flags;
      return interruptible(context, () => run({ ...readGlobals(command), limit, all, status }, context));
    });
}

function registerOne(
  group: Command,
  context: Context,
  run: Run<PurchaseOptions>,
  { name, description }: { name: string; description: string },
): void {
  addCommand(group, {
    name,
    description,
    examples: [
      `purchases ${name} pur_0123456789abcdef01234567`,
      `purchases ${name} pur_0123456789abcdef01234567 --json`,
    ],
  })
    .addArgument(new Argument("<id>", "the purchase's id").argParser(someText))
    .action((purchaseId: string, _flags: unknown, command: Command) =>
      interruptible(context, () => run({ ...readGlobals(command), purchaseId }, context)),
    );
}

function registerResume(group: Command, context: Context, run: Run<WaitOptions>): void {
  addCommand(group, {
    name: "resume",
    description: "Follow every purchase that was begun to its end; begins none",
    examples: ["purchases resume", "purchases resume --wait 120 --json"],
  })
    .option("--wait <seconds>", "for a payment's approval (default: 300 in a terminal, else 0)", wholeNumber(0, 86_400))
    .option("--no-open", "do not open the approval page in a browser")
    .action((flags: { wait?: number; open: boolean }, command: Command) => {
      const options = { ...readGlobals(command), waitSeconds: flags.wait ?? null, open: flags.open };
      return interruptible(context, () => run(options, context));
    });
}

const load: PurchasesRuns = {
  list: async (options, context) => (await import("./run/purchasesList.ts")).run(options, context),
  show: async (options, context) => (await import("./run/purchasesShow.ts")).run(options, context),
  receipt: async (options, context) => (await import("./run/purchasesReceipt.ts")).run(options, context),
  resume: async (options, context) => (await import("./run/purchasesResume.ts")).run(options, context),
};
