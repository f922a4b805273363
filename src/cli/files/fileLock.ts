import { statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import * as z from "zod";
import { CliError } from "../errors.ts";
import { hasErrno } from "./errno.ts";
import { deniedError } from "./ownership.ts";
import {
  assertPrivateDirectory,
  type FileMachine,
  makePrivateDirectory,
  readPrivateFile,
  removePrivateFile,
} from "./privateFile.ts";
import type { ProcessProbe } from "./processProbe.ts";

/** What a lock needs of the machine. */
export interface LockMachine extends FileMachine {
  /** When a process started; `null` if it does not run, or if this system does not report it. */
  readonly processStart: ProcessProbe;
  /** Milliseconds that never go back. */
  monotonic(): number;
  sleep(milliseconds: number): Promise<void>;
}

const ownerSchema = z.object({ pid: z.int(), startedAt: z.string() });

type Owner = z.infer<typeof ownerSchema>;

/** How long a live owner is waited for. */
const PATIENCE_MS = 30_000;

/** A lock without an owner is just being written, or was left by a process that died while it wrote. */
const NAMELESS_MS = 2_000;

const POLL_MS = 25;

/**
 * Runs work while no other process of this tool runs any under the same lock: a file that is created exclusively and
 * names its owner. A lock whose owner has died is taken over. The file is removed however the work ends.
 *
 * @param path of the lock file; its directory is made where it is missing
 * @throws CliError `sign_in_busy` after 30 s behind a live owner, `credentials_unsafe`, `credentials_unreadable`
 *   where the lock cannot be written; what the work throws
 */
export async function withFileLock<Result>(
  path: string,
  machine: LockMachine,
  work: () => Promise<Result>,
): Promise<Result> {
  const startedAt = await machine.processStart(machine.pid);
  const me: Owner = { pid: machine.pid, startedAt: startedAt ?? "unknown" };
  const began = machine.monotonic();
  let seen: Sight | null = null;
  while (!guarded(path, machine, () => tryLock(path, me, machine))) {
    seen = look(path, machine, seen);
    if (await isLeft(seen, startedAt !== null, machine)) await takeOver(path, seen, machine);
    else if (machine.monotonic() - began >= PATIENCE_MS) throw busy(path, seen);
    else await machine.sleep(POLL_MS);
  }
  try {
    return await work();
  } finally {
    guarded(path, machine, () => removePrivateFile(path, machine));
  }
}

/** A lock as it was found, and since when it has looked like that. */
interface Sight {
  /** `null` where it has gone. */
  readonly text: string | null;
  readonly owner: Owner | null;
  readonly since: number;
}

function tryLock(path: string, me: Owner, machine: LockMachine): boolean {
  makePrivateDirectory(dirname(path));
  assertPrivateDirectory(dirname(path), machine);
  const text = JSON.stringify(me);
  try {
    machine.retryBusy(() => writeFileSync(path, text, { flag: "wx", mode: 0o600 }));
  } catch (error) {
    if (hasErrno(error, "EEXIST")) return false;
    // A disk that is full takes the file without its text, which would keep the next command waiting.
    if (isNameless(path)) removePrivateFile(path, machine);
    throw error;
  }
  // A process that slept between creating and writing may have been taken for dead.
  return readPrivateFile(path, machine) === text;
}

function isNameless(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.size === 0;
}

function look(path: string, machine: LockMachine, before: Sight | null): Sight {
  const text = guarded(path, machine, () => readPrivateFile(path, machine));
  if (before !== null && before.text === text) return before;
  return { text, owner: ownerIn(text), since: machine.monotonic() };
}

function ownerIn(text: string | null): Owner | null {
  try {
    return ownerSchema.parse(JSON.parse(text ?? ""));
  } catch {
    return null;
  }
}

/** Whether a lock has lost its owner. A system that does not report when a process started only knows its age. */
async function isLeft({ text, owner, since }: Sight, tellsStarts: boolean, machine: LockMachine): Promise<boolean> {
  if (text === null) return false;
  const age = machine.monotonic() - since;
  if (owner === null) return age >= NAMELESS_MS;
  if (!tellsStarts) return age >= PATIENCE_MS;
  return (await machine.processStart(owner.pid)) !== owner.startedAt;
}

/**
 * Removes a lock that was left, if it is still the one that was looked at. This is done under a lock of its own: otherwise
 * another process could take it over, and lock anew, between the look and the removal.
 */
async function takeOver(path: string, seen: Sight, machine: LockMachine): Promise<void> {
  await withFileLock(`${path}.takeover`, machine, async () => {
    guarded(path, machine, () => readPrivateFile(path, machine) === seen.text && removePrivateFile(path, machine));
  });
}

function guarded<Result>(path: string, { uid }: LockMachine, work: () => Result): Result {
  try {
    return work();
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    const denied = deniedError(cause, path, uid, "credentials_unreadable");
    if (denied) throw denied;
    const hint = "Check that its directory can be written and that the disk is not full.";
    throw new CliError("credentials_unreadable", `Cannot write the lock ${path}`, { hint, cause });
  }
}

function busy(path: string, { owner }: Sight): CliError {
  const who = owner === null ? "Another command" : `Another command, process ${owner.pid},`;
  return new CliError("sign_in_busy", `${who} has been holding the lock ${path} for more than 30 seconds`, {
    hint: "Run the command again when that one has ended.",
  });
}
