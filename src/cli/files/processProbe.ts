import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { win32 } from "node:path";
import { promisify } from "node:util";

/** Finds when a process started, as text that stays the same while it runs; `null` if it does not run. */
export type ProcessProbe = (pid: number) => Promise<string | null>;

/** What a probe needs of the machine. */
export interface ProbeMachine {
  /** As Node.js names it, such as `linux` or `darwin`. */
  readonly platform: string;
  readonly pid: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds that never go back. */
  monotonic(): number;
}

/** Runs a program without a shell; gives what it printed, or `null` if it failed. */
export type RunProgram = (file: string, args: readonly string[], env: Record<string, string>) => Promise<string | null>;

/**
 * The probe of a platform: /proc on Linux, PowerShell on Windows, `ps` elsewhere. Where none of them works, no process is
 * ever found, and what another command has begun is settled at once instead of waited for; the backend keeps that safe.
 */
export function processProbe(machine: ProbeMachine, run: RunProgram = runProgram): ProcessProbe {
  if (machine.platform === "linux") return probeProc;
  if (machine.platform !== "win32") return (pid) => run("/bin/ps", ["-o", "lstart=", "-p", String(pid)], PS_ENV);
  return remembered((pid) => probeWindows(pid, machine, run), machine);
}

const PS_ENV = { LC_ALL: "C", TZ: "UTC" };

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

/** The variable that tells PowerShell the process, so that no part of the script is ever made of data. */
const PID = "SECUREFLAG_PROBED_PID";

/** In units of 100 ns. CIM tells it of elevated processes too, which `Get-Process` does not. */
const SCRIPT =
  `$filter = 'ProcessId = ' + [int]$env:${PID}; ` +
  "$found = Get-CimInstance -ClassName Win32_Process -Filter $filter -Property CreationDate; " +
  "if ($found) { $found.CreationDate.ToFileTimeUtc() }";

async function probeWindows(pid: number, { env }: ProbeMachine, run: RunProgram): Promise<string | null> {
  const root = env.SystemRoot;
  // By its full path: a program of that name in the current directory must not run.
  if (root === undefined || !win32.isAbsolute(root)) return null;
  const powershell = win32.join(root, "System32", "WindowsPowerShell", "v1.0", "powershell.exe");
  const flags = ["-NoLogo", "-NoProfile", "-NonInteractive", "-Command", SCRIPT];
  const printed = await run(powershell, flags, { SystemRoot: root, [PID]: String(pid) });
  return printed !== null && /^\d+$/.test(printed) ? printed : null;
}

/** How long an answer about another process holds, in milliseconds: PowerShell takes half a second to give it. */
const HOLDS_MS = 2_000;

/** Asks once for this process, whose start does not change, and every two seconds for another one. */
function remembered(probe: ProcessProbe, { pid: own, monotonic }: ProbeMachine): ProcessProbe {
  const answers = new Map<number, { readonly answer: Promise<string | null>; readonly at: number }>();
  return (pid) => {
    const known = answers.get(pid);
    if (known !== undefined && (pid === own || monotonic() - known.at < HOLDS_MS)) return known.answer;
    const answer = probe(pid);
    answers.set(pid, { answer, at: monotonic() });
    return answer;
  };
}

const LIMIT_MS = 10_000;

async function runProgram(file: string, args: readonly string[], env: Record<string, string>): Promise<string | null> {
  const options = { env, timeout: LIMIT_MS, windowsHide: true };
  const found = await promisify(execFile)(file, args, options).catch(() => null);
  return found?.stdout.trim() || null;
}
