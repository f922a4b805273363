import { execa } from "execa";
import { assertOutput } from "./outputs.ts";
import { BIN, clearedEnvironment, temporaryDirectory } from "./places.ts";

/** How a run of the program is set up. */
export interface RunOptions {
  /** Beside `PATH`, `HOME` and `SECUREFLAG_CONFIG_DIR`. */
  readonly env?: Readonly<Record<string, string>>;
  /** What comes on stdin; nothing, and its end at once, unless said. */
  readonly input?: string;
  /** The file that runs the program; the built one of this checkout unless said. */
  readonly bin?: string;
  /** The home that holds the configuration directory; a new one unless said. */
  readonly home?: string;
  /** Where stdout goes instead of into the result. */
  readonly stdoutFile?: string;
  /** Milliseconds until the program is killed and the test fails. */
  readonly timeout?: number;
}

/** How a run of the program ended. */
export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly home: string;
}

/** A run that is still going on. */
export interface RunningCli {
  readonly pid: number;
  readonly home: string;
  /** What it printed on stdout so far. */
  printed(): string;
  /** What it wrote on stderr so far. */
  noted(): string;
  kill(signal: NodeJS.Signals): void;
  /** How it ended; `exitCode` is 128 + the signal's number where a signal ended it. */
  readonly ended: Promise<RunResult>;
}

/** The program under test did not end by itself. */
class RunError extends Error {
  override readonly name = "RunError";
}

/** Starts the built program in a cleared environment. */
export async function startCli(args: readonly string[], options: RunOptions = {}): Promise<RunningCli> {
  const home = options.home ?? (await temporaryDirectory());
  const timeout = options.timeout ?? 30_000;
  const program = [process.execPath, options.bin ?? BIN, ...args];
  const redirected = options.stdoutFile && ["sh", "-c", `exec "$0" "$@" > ${options.stdoutFile}`, ...program];
  const [file = "", ...rest] = redirected || program;
  const child = execa(file, rest, {
    env: clearedEnvironment(home, options.env),
    extendEnv: false,
    reject: false,
    timeout,
    killSignal: "SIGKILL",
    stripFinalNewline: false,
    ...(options.input === undefined ? { stdin: "ignore" } : { input: options.input }),
  });
  let printed = "";
  let noted = "";
  child.stderr.on("data", (chunk: Buffer) => {
    noted += chunk.toString();
  });
  child.stdout.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
  });
  const ended = child.then(({ exitCode, signal, stdout, stderr, timedOut }) => {
    if (timedOut) throw new RunError(`${args.join(" ")} ran longer than ${timeout} ms\n${stdout}\n${stderr}`);
    const signals: Record<string, number> = { SIGINT: 130, SIGKILL: 137, SIGTERM: 143 };
    const result = { exitCode: exitCode ?? signals[signal ?? ""] ?? -1, stdout, stderr, home };
    assertOutput(args, result);
    return result;
  });
  return {
    pid: child.pid ?? 0,
    home,
    printed: () => printed,
    noted: () => noted,
    kill: (signal) => child.kill(signal),
    ended,
  };
}

/** Runs the built program to its end. */
export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return (await startCli(args, options)).ended;
}

/** The one JSON document on stdout. */
export function resultOf<Shape = Record<string, unknown>>({ stdout, stderr, exitCode }: RunResult): Shape {
  try {
    return JSON.parse(stdout) as Shape;
  } catch (cause) {
    throw new RunError(`No JSON document on stdout (exit ${exitCode}):\n${stdout}\n${stderr}`, { cause });
  }
}

/** The error document on stderr, as `--json` prints it. */
export interface ErrorDocument {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly exitCode: number;
  readonly requestId?: string;
}

/** The one JSON document on stderr. */
export function errorOf({ stdout, stderr, exitCode }: RunResult): ErrorDocument {
  try {
    return (JSON.parse(stderr) as { error: ErrorDocument }).error;
  } catch (cause) {
    throw new RunError(`No error document on stderr (exit ${exitCode}):\n${stdout}\n${stderr}`, { cause });
  }
}
