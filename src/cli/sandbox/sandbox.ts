import { readFile } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { Command, Option } from "commander";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { whyUnread } from "../files/files.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { note, printResult, type View } from "../kit/output.ts";
import { fields } from "../kit/table.ts";
import { clean, cleanWhole, decodeText } from "../kit/text.ts";
import { instantOrDate, someText, wholeNumber } from "../kit/values.ts";
import { type AdvanceOptions, registerAdvance, runAdvance, runShow } from "./clock.ts";
import { dataDirectory, type ResetOptions, registerReset, runReset } from "./reset.ts";

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

/** What the commands of the group do. */
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

const RUNS: SandboxRuns = { start: runSandbox, reset: runReset, clockShow: runShow, clockAdvance: runAdvance };

/**
 * Runs the embedded backend until SIGINT or SIGTERM ends it, which is the way to end it and no failure.
 *
 * @throws SandboxError for data, seed or port that cannot be used; CliError `seed_invalid` for a file that cannot be read
 */
export async function runSandbox(options: SandboxRunOptions, context: Context): Promise<void> {
  const ended = endSignal(context);
  const seed = options.seed === null ? null : { path: options.seed, text: await seedText(options.seed) };
  // What is short-lived needs no more room when many buy: a sandbox is about as large after a day as after a minute.
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
  try {
    // Told under --json as well: nothing failed, so that no error has to stand alone on stderr.
    for (const line of sandbox.notes) note(context, { ...options, json: false }, line);
    await printResult<"sandbox">(context, options, sandbox.ready, (view) => renderReady(sandbox.ready, view));
    await ended;
  } finally {
    await sandbox.close();
  }
}

/** Settles at the first signal to end. The second one ends the process the hard way, should closing hang. */
function endSignal(context: Context): Promise<void> {
  let end = () => {};
  const ended = new Promise<void>((done) => {
    end = done;
  });
  const stops = (["SIGINT", "SIGTERM"] as const).map((signal) =>
    context.onSignal(signal, () => {
      for (const stop of stops) stop();
      end();
    }),
  );
  return ended;
}

async function seedText(path: string): Promise<string> {
  try {
    return decodeText(await readFile(path));
  } catch (cause) {
    const hint = "Check the path given with --seed.";
    throw new CliError("seed_invalid", `The seed file ${path} cannot be read: ${whyUnread(cause)}`, { hint, cause });
  }
}

/** What a sandbox says when it is ready (cli.md). */
export interface SandboxReady {
  readonly url: string;
  readonly organizationId: number;
  readonly admin: { readonly email: string; readonly password: string } | null;
  readonly token: string | null;
  readonly dataDir: string | null;
  readonly pid: number;
}

/** Where the sandbox is and how to use it; the line to copy is never wrapped. */
export function renderReady(ready: SandboxReady, view: View): string {
  const { admin, token } = ready;
  const facts = fields(
    [
      ["Sandbox", ready.url],
      ["Organization", String(ready.organizationId)],
      ["Administrator", admin && clean(admin.email)],
      ["Password", admin && clean(admin.password)],
      ["Data", ready.dataDir === null ? "kept nowhere" : clean(ready.dataDir)],
    ],
    view,
  );
  const variables = [`SECUREFLAG_API_URL=${quoted(ready.url)}`, token && `SECUREFLAG_API_TOKEN=${quoted(token)}`];
  const copy = `export ${variables.filter(Boolean).join(" ")}`;
  return `${facts}\n\nIn another terminal:\n${copy}\n\nCtrl-C ends it.`;
}

/** A value for a POSIX shell; a plain one stays as it is. */
function quoted(text: string): string {
  const value = cleanWhole(text);
  return /^[\w./:@%+=,-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
