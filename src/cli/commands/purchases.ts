import { Argument, type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { addCommand } from "./shared/command.ts";
import { csvOption, readCsv } from "./shared/csvOption.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { calendarDate } from "./shared/instants.ts";
import { readTotp, totpOption } from "./shared/oneTimeCode.ts";
import { someText, trimmedText, wholeNumber } from "./shared/values.ts";
import { addWaitOptions, readWait, type WaitFlags, type WaitOptions } from "./shared/waitOptions.ts";

/** What `purchases list` was told. */
export interface ListOptions extends GlobalOptions {
  readonly limit: number | null;
  readonly all: boolean;
  readonly status: string | null;
  readonly kind: string | null;
  /** Calendar dates in the organization's billing time zone, both included; `null` for no bound. */
  readonly from: string | null;
  readonly to: string | null;
  readonly csv: boolean;
}

interface ListFlags {
  readonly limit?: number;
  readonly all?: boolean;
  readonly status?: string;
  readonly kind?: string;
  readonly from?: string;
  readonly to?: string;
  readonly csv?: boolean;
}

/** What `purchases show` was told. */
export interface PurchaseOptions extends GlobalOptions {
  readonly purchaseId: string;
}

/** What `purchases receipt` was told. */
export interface ReceiptOptions extends PurchaseOptions {
  /** Where the PDF goes: a file, `-` for stdout, `null` for no PDF. */
  readonly pdf: string | null;
  readonly force: boolean;
}

/** What `purchases pay` was told. */
export interface PayOptions extends PurchaseOptions, WaitOptions {
  readonly yes: boolean;
  readonly totp: string | null;
  readonly dryRun: boolean;
}

interface PayFlags extends WaitFlags {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
  readonly totp?: string;
}

/** What `purchases cancel` was told. */
export interface CancelOptions extends PurchaseOptions {
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** What the commands of the group do. */
export interface PurchasesRuns {
  readonly list: Run<ListOptions>;
  readonly show: Run<PurchaseOptions>;
  readonly receipt: Run<ReceiptOptions>;
  readonly resume: Run<WaitOptions>;
  readonly pay: Run<PayOptions>;
  readonly cancel: Run<CancelOptions>;
}

const KINDS = ["purchase", "renewal"];
const STATUSES = ["processing", "requires_approval", "succeeded", "failed", "needs_review"];

/** Registers `purchases list | show | receipt | resume | pay | cancel`. */
export function register(program: Command, context: Context, runs: PurchasesRuns = load): void {
  const group = addCommand(program, {
    name: "purchases",
    group: "Licenses",
    description: "List, show, resume, pay or cancel purchases",
    examples: ["purchases list", "purchases resume"],
  });
  registerList(group, context, runs.list);
  registerShow(group, context, runs.show);
  registerReceipt(group, context, runs.receipt);
  registerResume(group, context, runs.resume);
  registerPay(group, context, runs.pay);
  registerCancel(group, context, runs.cancel);
}

function registerList(group: Command, context: Context, run: Run<ListOptions>): void {
  addCommand(group, {
    name: "list",
    description: "List purchases and renewals, newest first",
    examples: ["purchases list --kind renewal", "purchases list --all --from 2026-01-01 --csv > year.csv"],
  })
    .addOption(new Option("--limit <n>", "at most this many (default: 100)").argParser(wholeNumber(1)).conflicts("all"))
    .option("--all", "every purchase")
    .option("--from <date>", "begun on this date or later, such as 2026-11-01", calendarDate)
    .option("--to <date>", "begun on this date or before", calendarDate)
    .addOption(new Option("--status <status>", "only those").choices(STATUSES))
    .addOption(new Option("--kind <kind>", "only those").choices(KINDS))
    .addOption(csvOption("print CSV, with amounts in major units"))
    .action((flags: ListFlags, command: Command) => {
      const { limit = null, all = false, status = null, kind = null, from = null, to = null } = flags;
      if (from !== null && to !== null && to < from) {
        throw usageError(`--to ${to} is before --from ${from}`, "Say the earlier date with --from.");
      }
      const globals = readGlobals(command);
      const options = { ...globals, limit, all, status, kind, from, to, csv: readCsv(flags, globals) };
      return interruptible(context, () => run(options, context));
    });
}

function registerShow(group: Command, context: Context, run: Run<PurchaseOptions>): void {
  addCommand(group, {
    name: "show",
    description: "Show one purchase",
    examples: ["purchases show pur_4f8c21d9", "purchases show 4201-000001 --json"],
  })
    .addArgument(purchaseArgument())
    .action((purchaseId: string, _flags: unknown, command: Command) =>
      interruptible(context, () => run({ ...readGlobals(command), purchaseId }, context)),
    );
}

function registerReceipt(group: Command, context: Context, run: Run<ReceiptOptions>): void {
  addCommand(group, {
    name: "receipt",
    description: "Show a purchase's receipt, or save it as PDF",
    examples: ["purchases receipt pur_4f8c21d9", "purchases receipt pur_4f8c21d9 --pdf receipt.pdf"],
  })
    .addArgument(purchaseArgument())
    .option("--pdf <file>", "save it as a PDF file; - for stdout", someText)
    .option("--force", "replace the file if it exists")
    .action((purchaseId: string, flags: { pdf?: string; force?: boolean }, command: Command) => {
      const { pdf = null, force = false } = flags;
      return interruptible(context, () => run({ ...readGlobals(command), purchaseId, pdf, force }, context));
    });
}

function registerResume(group: Command, context: Context, run: Run<WaitOptions>): void {
  const command = addCommand(group, {
    name: "resume",
    description: "Follow every purchase that was begun to its end; begins none",
    examples: ["purchases resume", "purchases resume --wait 120 --json"],
  });
  addWaitOptions(command).action((flags: WaitFlags, command: Command) =>
    interruptible(context, () => run({ ...readGlobals(command), ...readWait(flags) }, context)),
  );
}

function registerPay(group: Command, context: Context, run: Run<PayOptions>): void {
  const command = addCommand(group, {
    name: "pay",
    description: "Pay a declined purchase or a failed renewal, with the same card or another",
    examples: ["purchases pay pur_4f8c21d9", "purchases pay pur_4f8c21d9 --yes --json"],
  }).addArgument(purchaseArgument());
  addWaitOptions(command)
    .option("--yes", "pay without a prompt")
    .option("--dry-run", "show what would be paid, pay nothing")
    .addOption(totpOption())
    .action((purchaseId: string, flags: PayFlags, command: Command) => {
      const { yes = false, dryRun = false, totp } = flags;
      const options = { ...readGlobals(command), purchaseId, ...readWait(flags), yes, dryRun, totp: readTotp(totp) };
      return interruptible(context, () => run(options, context));
    });
}

function registerCancel(group: Command, context: Context, run: Run<CancelOptions>): void {
  addCommand(group, {
    name: "cancel",
    description: "Cancel a purchase that waits for approval",
    examples: ["purchases cancel pur_4f8c21d9", "purchases cancel pur_4f8c21d9 --yes"],
  })
    .addArgument(purchaseArgument())
    .option("--yes", "cancel without asking")
    .option("--dry-run", "say what would be done, cancel nothing")
    .action(
      (purchaseId: string, { yes = false, dryRun = false }: { yes?: boolean; dryRun?: boolean }, command: Command) =>
        interruptible(context, () => run({ ...readGlobals(command), purchaseId, yes, dryRun }, context)),
    );
}

function purchaseArgument(): Argument {
  return new Argument("<id>", "id, its first 8 digits, or receipt number").argParser(trimmedText);
}

const load: PurchasesRuns = {
  list: async (options, context) => (await import("./run/purchasesList.ts")).run(options, context),
  show: async (options, context) => (await import("./run/purchasesShow.ts")).run(options, context),
  receipt: async (options, context) => (await import("./run/purchasesReceipt.ts")).run(options, context),
  resume: async (options, context) => (await import("./run/purchasesResume.ts")).run(options, context),
  pay: async (options, context) => (await import("./run/purchasesPay.ts")).run(options, context),
  cancel: async (options, context) => (await import("./run/purchasesCancel.ts")).run(options, context),
};
