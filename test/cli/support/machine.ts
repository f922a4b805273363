import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import type { Keyring } from "../../../src/cli/connection/keyring.ts";
import { CliError } from "../../../src/cli/errors.ts";
import type { LockMachine } from "../../../src/cli/files/fileLock.ts";
import { type ProcessProbe, processProbe } from "../../../src/cli/files/processProbe.ts";

/** The probe of a platform, as on this machine. */
export function probeHere(platform: string = process.platform): ProcessProbe {
  return processProbe({ platform, pid: process.pid, env: process.env, monotonic: () => performance.now() });
}

/** A directory that goes away with the test. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "sfl-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** This process, with a record of the crash points that were reached. */
export function testMachine(more: Partial<LockMachine> = {}): LockMachine & { readonly reached: string[] } {
  const reached: string[] = [];
  const uid = process.getuid?.() ?? null;
  return {
    pid: process.pid,
    uid,
    reach: (point) => reached.push(point),
    reached,
    retryBusy: (work) => work(),
    processStart: probeHere(),
    monotonic: () => performance.now(),
    sleep,
    ...more,
  };
}

/** A keyring that fails whatever it is asked. */
export function failingKeyring(code: "keyring_unavailable" | "keyring_locked"): Keyring {
  const refuse = async (): Promise<never> => {
    throw new CliError(code, "The system keyring does not work", { hint: "Repair it." });
  };
  return { read: refuse, write: refuse, remove: refuse, probe: refuse };
}
