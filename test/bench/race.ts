import { spawn } from "node:child_process";
import { median } from "./budget.ts";

/** How often each program runs: what counts is the median of their ratios. */
const ROUNDS = 21;

/** A program whose time is taken. */
export interface Runner {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Where its time ends: with the process, or with the first line on stdout, after which it is told to end. */
  readonly until: "end" | "line";
}

/** A program that was measured did not do what it was started for. */
class RaceError extends Error {
  override readonly name = "RaceError";
}

/**
 * Runs programs in turns, so that whatever else the machine does meets all of them alike.
 *
 * @returns milliseconds of each round, by name
 * @throws RaceError for a program that fails
 */
export async function race<Name extends string>(
  runners: Readonly<Record<Name, Runner>>,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(runners) as Name[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const name of names) times[name].push(await timeOf(runners[name]));
  }
  return times;
}

/** The median of what each round's time is to that of the same round of another program. */
export function ratio(times: readonly number[], others: readonly number[]): number {
  return median(times.map((time, round) => time / (others[round] ?? Number.NaN)));
}

function timeOf({ file, args, env, until }: Runner): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const child = spawn(file, args, { env: { ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let stderr = "";
    let taken: number | null = null;
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    child.stdout.on("data", (chunk: Buffer) => {
      if (until === "end" || !chunk.includes("\n")) return;
      taken ??= performance.now() - began;
      child.kill("SIGTERM");
    });
    child.on("error", reject);
    child.on("close", (code) => {
      const time = until === "end" ? performance.now() - began : taken;
      if (code === 0 && time !== null) resolve(time);
      else reject(new RaceError(`${[file, ...args].join(" ")} ended with ${code}: ${stderr}`));
    });
  });
}
