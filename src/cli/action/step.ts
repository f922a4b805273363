import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { addToJobSummary, writeOutputs } from "../buying/jobSummary.ts";
import type { Context, EndSignal } from "../context.ts";
import { usageError } from "../errors.ts";
import { reportFailure } from "../kit/failure.ts";
import { readInputs, readPlan, type StepInputs } from "./inputs.ts";
import { commentPlan } from "./plan.ts";

/** The program, as main.ts exports it. */
export interface Program {
  createContext(changes?: Context["env"]): Context;
  main(argv: readonly string[], context: Context): Promise<number>;
}

/** How a step ended. */
interface StepEnd {
  readonly exitCode: number;
  /** Whether to end the process even if work is still pending. */
  readonly leavesWork: boolean;
}

/** Every message of the step is shown, as text. */
const OPTIONS = { json: false, color: true, quiet: false, verbose: false };

/** With these exit codes nothing was bought for certain (src/cli/README.md, Exit codes). */
const STOPPED = [2, 3, 4, 5, 7];

/**
 * Runs the action: tops up as the inputs of the step say, sets `exit-code` beside the outputs of the program, and shows a
 * plan on the pull request. Never throws.
 */
export async function runStep(program: Program): Promise<StepEnd> {
  const context = program.createContext();
  const { env } = context;
  const [outputs, summary] = await Promise.all([appended(env.GITHUB_OUTPUT), appended(env.GITHUB_STEP_SUMMARY)]);
  let end: StepEnd = { exitCode: 1, leavesWork: false };
  try {
    end = await run(readInputs(env), program, context);
  } catch (error) {
    end = { ...end, exitCode: reportFailure(error, [], context) };
  }
  const { exitCode } = end;
  const unexplained = exitCode === 0 || (await summary()) !== "" ? "" : failedSection(exitCode);
  if (unexplained !== "") await addToJobSummary(context, OPTIONS, unexplained);
  const plan = readPlan(env);
  const section = unexplained || (plan === null ? "" : await summary());
  // Also where no plan could be made: the comment before is of another commit.
  if (plan !== null && section !== "") await commentPlan(section, plan, context);
  const isStatusSet = (await outputs()) !== "";
  const status = STOPPED.includes(exitCode) ? "stopped" : "unknown";
  await writeOutputs(context, OPTIONS, { ...(!isStatusSet && { status }), "exit-code": String(exitCode) });
  await context.end();
  return end;
}

function failedSection(exitCode: number): string {
  return `### License top-up failed\n\nExit code ${exitCode}. The log of the job says why.\n`;
}

async function run({ argv, env, command }: StepInputs, program: Program, context: Context): Promise<StepEnd> {
  if (command.length > 0) {
    return { exitCode: await runCommand(command, argv, env, context), leavesWork: false };
  }
  const own = program.createContext(env);
  const exitCode = await program.main(argv, own);
  return { exitCode, leavesWork: own.leavesWork };
}

/** Remembers how long a file of the step is; the answer gives what was appended since. */
async function appended(path: string | undefined): Promise<() => Promise<string>> {
  const read = async () => (path ? await readFile(path).catch(() => null) : null) ?? Buffer.alloc(0);
  const { length } = await read();
  return async () => (await read()).subarray(length).toString();
}

const SIGNALS: readonly EndSignal[] = ["SIGINT", "SIGTERM"];

/**
 * Runs an installed program in place of this one, without the inputs, which hold secrets.
 *
 * @throws CliError `invalid_usage` if it cannot be started
 */
async function runCommand(
  [file = "", ...words]: readonly string[],
  argv: readonly string[],
  changes: Context["env"],
  { env, onSignal }: Context,
): Promise<number> {
  const all = Object.entries({ ...env, ...changes }).filter(([name]) => !name.startsWith("INPUT_"));
  const child = spawn(file, [...words, ...argv], { stdio: "inherit", env: Object.fromEntries(all) });
  const stopListening = SIGNALS.map((signal) => onSignal(signal, () => void child.kill(signal)));
  try {
    return await new Promise((done, fail) => {
      child.on("error", ({ message }) =>
        fail(usageError(`command cannot be run: ${message}`, "Check the input command.")),
      );
      child.on("exit", (code) => done(code ?? 130));
    });
  } finally {
    for (const stop of stopListening) stop();
  }
}
