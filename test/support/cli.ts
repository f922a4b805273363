import { execa } from "execa";
import { assertOutput } from "./outputs.ts";
import { BIN, clearedEnvironment, temporaryDirectory } from "./places.ts";

/** How to run the program. */
export interface RunOptions {
  /** Besides `PATH`, `HOME` and `SECUREFLAG_CONFIG_DIR`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Its stdin; empty by default. */
  readonly input?: string;
  /** The file to run; the built program of this checkout by default. */
  readonly bin?: string;
  /** The Node.js to run it with; the one that runs the tests by default. */
  readonly node?: string;
  /** An executable that needs no Node.js, to run instead. */
  readonly executable?: string;
  /** The home with the configuration directory; a new one by default. */
  readonly home?: string;
  /** Redirects stdout instead of collecting it. */
  readonly stdoutFile?: string;
  /** After how many milliseconds to kill the program and fail. */
  readonly timeout?: number;
}

/** How a run of the program ended. */
export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly home: string;
}

/** A run in progress. */
export interface RunningCli {
  readonly pid: number;
  readonly home: string;
  /** Its stdout so far. */
  printed(): string;
  /** Its stderr so far. */
  noted(): string;
  kill(signal: NodeJS.Signals): void;
  /** How it ended. `exitCode` is 128 + the signal's number after a signal. */
  readonly ended: Promise<RunResult>;
}

/** The program did not run as expected. */
class RunError extends Error {
  override readonly name = "RunError";
}

/** Starts the built program in a cleared environment. */
export async function startCli(args: readonly string[], options: RunOptions = {}): Promise<RunningCli> {
  const home = options.home ?? (await temporaryDirectory());
  const timeout = options.timeout ?? 30_000;
  const { executable, node = process.execPath, bin = BIN } = options;
  const program = [...(executable ? [executable] : [node, bin]), ...args];
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
