import { readFile } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { type Command, Option } from "commander";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { whyUnread } from "../files/files.ts";
import { assertPiped, STANDARD } from "../files/standard.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { endSignal, refuseUnknown } from "../kit/foreground.ts";
import { note, printResult, type View } from "../kit/output.ts";
import { detectShell, type Shell, setVariables } from "../kit/shell.ts";
import { fields } from "../kit/table.ts";
import { clean, decodeText } from "../kit/text.ts";
import { instantOrDate, someText, wholeNumber } from "../kit/values.ts";
import { type AdvanceOptions, registerAdvance, runAdvance, runShow } from "./clock.ts";
import { dataDirectory, type ResetOptions, registerReset, runReset } from "./reset.ts";

/** Options of `sandbox`. */
export interface SandboxRunOptions extends GlobalOptions {
  readonly port: number;
  readonly data: string | null;
  readonly ephemeral: boolean;
  /** Path of a seed file. */
  readonly seed: string | null;
  /** Initial time of the clock, in milliseconds since the epoch. */
  readonly now: number | null;
}

/** The functions that run the commands of the group. */
export interface SandboxRuns {
  readonly start: Run<SandboxRunOptions>;
  readonly reset: Run<ResetOptions>;
  readonly clockShow: Run<GlobalOptions>;
  readonly clockAdvance: Run<AdvanceOptions>;
}

const DEFAULT_PORT = 4010;

/** Registers `sandbox`, `sandbox clock show | advance` and `sandbox reset`. */
export function register(program: Command, context: Context, runs: SandboxRuns = RUNS): void {
  const sandbox = addCommand(program, {
    name: "sandbox",
    examples: ["sandbox", "sandbox --ephemeral --port 0 --now 2026-11-22T10:00:00Z"],
  });
  const clock = addCommand(sandbox, {
    name: "clock",
    description: "Show or advance the clock of a running sandbox",
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
  // Last, because subcommands would inherit that excess arguments are allowed.
  registerStart(sandbox, context, runs.start);
}

function registerStart(sandbox: Command, context: Context, run: Run<SandboxRunOptions>): void {
  sandbox
    .option("--port <n>", `port to listen on (default: ${DEFAULT_PORT}; 0 picks a free one)`, wholeNumber(0, 65_535))
    .option("--data <dir>", "directory of the data", someText)
    .addOption(new Option("--ephemeral", "do not keep data").conflicts("data"))
    .option("--seed <file>", "fill an empty sandbox from a file; - for stdin", someText)
    .option("--now <instant>", "initial time of the clock", instantOrDate)
    .allowExcessArguments()
    .action((flags: Record<string, never>, command: Command) => {
      if (command.args.length > 0) refuseUnknown(command);
      const { port = DEFAULT_PORT, data = null, ephemeral = false, seed = null, now = null } = flags;
      // The sandbox is stopped by a signal, so it listens itself.
      return run({ ...readGlobals(command), port, data, ephemeral, seed, now }, context);
    });
}

const RUNS: SandboxRuns = { start: runSandbox, reset: runReset, clockShow: runShow, clockAdvance: runAdvance };

/**
 * Runs the embedded backend until SIGINT or SIGTERM, which is not a failure.
 *
 * @throws BackendError if data, seed or port cannot be used; CliError `seed_invalid` if the seed file cannot be read
 */
export async function runSandbox(options: SandboxRunOptions, context: Context): Promise<void> {
  const ended = endSignal(context);
  const seed = options.seed === null ? null : { path: options.seed, text: await seedText(options.seed, context) };
  // Short-lived objects need no more room under load: memory stays about the same from a minute to a day.
  setFlagsFromString("--semi-space-growth-factor=1");
  const { startSandbox } = await import("../../backend/sandbox/server.ts");
  const dataDir = options.ephemeral ? null : dataDirectory(options.data, context);
  const sandbox = await startSandbox(
    { port: options.port, dataDir, seed, now: options.now },
    {
      now: context.clock.now,
      random: context.random.bytes,
      pid: context.pid,
      reach: context.reach,
      log: (line) => context.io.note(`${clean(line)}\n`),
      version: context.version,
    },
  );
  let removeRecord = () => {};
  try {
    // Noted with --json too: nothing failed, so stderr does not have to be a single error.
    for (const line of sandbox.notes) note(context, { ...options, json: false }, line);
    const shell = detectShell(context);
    await printResult<"sandbox">(context, options, sandbox.ready, (view) => renderReady(sandbox.ready, view, shell));
    // Imported here, because being ready comes first.
    const { recordRunning } = await import("./running.ts");
    removeRecord = await recordRunning(sandbox.ready, context);
    await ended;
  } finally {
    removeRecord();
    await sandbox.close();
  }
}

async function seedText(path: string, { io }: Context): Promise<string> {
  if (path === STANDARD) assertPiped(io);
  try {
    return decodeText(path === STANDARD ? await io.readInput() : await readFile(path));
  } catch (cause) {
    const hint = "Check the path given with --seed.";
    throw new CliError("seed_invalid", `Cannot read the seed file ${path}: ${whyUnread(cause)}`, { hint, cause });
  }
}

/** The output of a sandbox that is ready. */
export interface SandboxReady {
  readonly url: string;
  readonly organizationId: number;
  readonly admin: { readonly email: string; readonly password: string } | null;
  readonly token: string | null;
  readonly dataDir: string | null;
  readonly pid: number;
}

/** Renders the address of the sandbox and how to use it, for a shell. The line to copy is never wrapped. */
export function renderReady(ready: SandboxReady, view: View, shell: Shell = "sh"): string {
  const { admin, token } = ready;
  const address = ["SECUREFLAG_API_URL", ready.url] as const;
  const whole = setVariables(shell, [address, ...(token ? [["SECUREFLAG_API_TOKEN", token] as const] : [])]);
  const facts = fields(
    [
      ["Sandbox", ready.url],
      ["Organization", String(ready.organizationId)],
      ["Administrator", admin && clean(admin.email)],
      ["Password", admin && clean(admin.password)],
      ["Token", whole === null ? clean(token ?? "") : null],
      ["Data", ready.dataDir === null ? "not kept" : clean(ready.dataDir)],
    ],
    view,
  );
  const copy = whole ?? setVariables(shell, [address]);
  return `${facts}\n\nIn another terminal:\n${copy}\n\nPress Ctrl-C to stop.`;
}
