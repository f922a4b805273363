import { Command, Option } from "commander";
import { isCalendarDate } from "../../billing/calendarDate.ts";
import type { ClockRequest } from "../../client/client.ts";
import { MAX_CLOCK_DAYS, MAX_CLOCK_YEARS } from "../../contract/clockLimits.ts";
import type { Context } from "../context.ts";
import { usageError } from "../errors.ts";
import { addCommand } from "./shared/command.ts";
import { interruptible, type Run } from "./shared/execute.ts";
import { type GlobalOptions, readGlobals } from "./shared/globals.ts";
import { instantOrDate } from "./shared/instants.ts";
import { someText, wholeNumber } from "./shared/values.ts";

/** What `sandbox` was told. */
export interface SandboxRunOptions extends GlobalOptions {
  readonly port: number;
  readonly data: string | null;
  readonly ephemeral: boolean;
  /** A seed file's path. */
  readonly seed: string | null;
  /** Where the clock begins, in milliseconds since the epoch. */
  readonly now: number | null;
}

/** What `sandbox reset` was told. */
export interface ResetOptions extends GlobalOptions {
  readonly data: string | null;
  readonly yes: boolean;
}

/** What `sandbox clock advance` was told; `renewal` goes to the renewal date of the organization that is set. */
export interface AdvanceOptions extends GlobalOptions {
  readonly to: Exclude<ClockRequest, { toRenewalOf: number }> | "renewal";
}

/** What the commands of the group do. */
export interface SandboxRuns {
  readonly start: Run<SandboxRunOptions>;
  readonly reset: Run<ResetOptions>;
  readonly clockShow: Run<GlobalOptions>;
  readonly clockAdvance: Run<AdvanceOptions>;
}

const DEFAULT_PORT = 4010;

/** Registers `sandbox`, `sandbox clock show | advance` and `sandbox reset`. */
export function register(program: Command, context: Context, runs: SandboxRuns = load): void {
  const sandbox = addCommand(program, {
    name: "sandbox",
    group: "Try it",
    description: "Run the embedded backend in the foreground",
    examples: ["sandbox", "sandbox --ephemeral --port 0 --now 2026-11-22T10:00:00Z"],
  });
  const clock = addCommand(sandbox, {
    name: "clock",
    description: "Show or advance a running sandbox's clock",
    examples: ["sandbox clock show", "sandbox clock advance --by 30"],
  });
  addCommand(clock, {
    name: "show",
    description: "Show the clock and what was charged",
    examples: ["sandbox clock show", "sandbox clock show --json"],
  }).action((_flags: unknown, command: Command) =>
    interruptible(context, () => runs.clockShow(readGlobals(command), context)),
  );
  registerAdvance(clock, context, runs.clockAdvance);
  registerReset(sandbox, context, runs.reset);
  // Last: the commands below would inherit that it looks at more words than it has arguments.
  registerStart(sandbox, context, runs.start);
}

function registerStart(sandbox: Command, context: Context, run: Run<SandboxRunOptions>): void {
  sandbox
    .option("--port <n>", `where to listen (default: ${DEFAULT_PORT}; 0 picks a free one)`, wholeNumber(0, 65_535))
    .option("--data <dir>", "where to keep the data", someText)
    .addOption(new Option("--ephemeral", "keep no data").conflicts("data"))
    .option("--seed <file>", "fill empty data from this file", someText)
    .option("--now <instant>", "where the clock begins", instantOrDate)
    .allowExcessArguments()
    .action((flags: Record<string, never>, command: Command) => {
      if (command.args.length > 0) refuseUnknown(command);
      const { port = DEFAULT_PORT, data = null, ephemeral = false, seed = null, now = null } = flags;
      // The sandbox ends by a signal, so it listens for them itself.
      return run({ ...readGlobals(command), port, data, ephemeral, seed, now }, context);
    });
}

/** Commander suggests the nearest of a command's commands only where it does nothing by itself. */
function refuseUnknown({ args, commands }: Command): void {
  const group = new Command()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .helpOption(false)
    .helpCommand(false);
  for (const command of commands) group.command(command.name());
  group.parse(args, { from: "user" });
}

function registerAdvance(clock: Command, context: Context, run: Run<AdvanceOptions>): void {
  addCommand(clock, {
    name: "advance",
    description: "Move the clock forward; never back",
    examples: ["sandbox clock advance --by 30", "sandbox clock advance --to 2027-03-01"],
  })
    .option("--to <date>", `to a date or an instant, at most ${MAX_CLOCK_YEARS} years ahead`, dateOrInstantText)
    .option("--by <n days>", `by a number of days, at most ${MAX_CLOCK_YEARS} years`, days)
    .option("--to-renewal", "to the organization's next renewal date")
    .action((flags: { to?: string; by?: number; toRenewal?: boolean }, command: Command) => {
      const options = { ...readGlobals(command), to: destination(flags) };
      return interruptible(context, () => run(options, context));
    });
}

function destination(flags: { to?: string; by?: number; toRenewal?: boolean }): AdvanceOptions["to"] {
  const given = [flags.to, flags.by, flags.toRenewal].filter((flag) => flag !== undefined);
  if (given.length !== 1) {
    throw usageError("Where the clock is to go must be said once", "Say one of --to, --by and --to-renewal.");
  }
  if (flags.to !== undefined) return { to: flags.to };
  return flags.by === undefined ? "renewal" : { days: flags.by };
}

function registerReset(sandbox: Command, context: Context, run: Run<ResetOptions>): void {
  addCommand(sandbox, {
    name: "reset",
    description: "Empty a stopped sandbox's data",
    examples: ["sandbox reset", "sandbox reset --data ./sandbox --yes"],
  })
    .option("--data <dir>", "where the data are", someText)
    .option("--yes", "do not ask")
    .action((flags: { yes?: boolean }, command: Command) => {
      // `--data` may also stand before `reset`, as a flag of `sandbox`.
      const data: string | undefined = command.optsWithGlobals().data;
      const options = { ...readGlobals(command), data: data ?? null, yes: flags.yes === true };
      return interruptible(context, () => run(options, context));
    });
}

/** Checks it, and writes an instant as the contract does: in UTC. A date is left to the sandbox's time zone. */
function dateOrInstantText(text: string): string {
  const instant = instantOrDate(text);
  return isCalendarDate(text) ? text : new Date(instant).toISOString();
}

function days(text: string): number {
  return wholeNumber(1, MAX_CLOCK_DAYS)(text.replace(/\s*(d|days?)$/, ""));
}

const load: SandboxRuns = {
  start: async (options, context) => (await import("./run/sandbox.ts")).run(options, context),
  reset: async (options, context) => (await import("./run/sandboxReset.ts")).run(options, context),
  clockShow: async (options, context) => (await import("./run/sandboxClock.ts")).runShow(options, context),
  clockAdvance: async (options, context) => (await import("./run/sandboxClock.ts")).runAdvance(options, context),
};
