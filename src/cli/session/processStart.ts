import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/** Tells when a process started, in words that stay the same while it runs; `null` where no such process runs. */
export type ProcessProbe = (pid: number) => Promise<string | null>;

/**
 * The probe of a platform: /proc on Linux, `ps` elsewhere. Where neither exists (Windows) no process is ever found,
 * and what another command has begun is settled at once instead of waited for; the backend keeps that safe.
 *
 * @param platform as Node names it, such as `linux` or `darwin`
 */
export function processProbe(platform: string): ProcessProbe {
  return platform === "linux" ? probeProc : probePs;
}

/** The state (field 3) and the start time (field 22) in a line of /proc/<pid>/stat; the name before them may hold anything. */
export function parseProcStat(stat: string): string | null {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  // A zombie has ended; only its parent has not noticed.
  return state === "Z" || state === "X" ? null : (fields[19] ?? null);
}

async function probeProc(pid: number): Promise<string | null> {
  return readFile(`/proc/${pid}/stat`, "utf8").then(parseProcStat, () => null);
}

async function probePs(pid: number): Promise<string | null> {
  const env = { LC_ALL: "C", TZ: "UTC" };
  const found = await promisify(execFile)("/bin/ps", ["-o", "lstart=", "-p", String(pid)], { env }).catch(() => null);
  return found?.stdout.trim() || null;
}
