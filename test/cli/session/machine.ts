import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import type { LockMachine } from "../../../src/cli/session/fileLock.ts";
import { processProbe } from "../../../src/cli/session/processStart.ts";

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
    processStart: processProbe(process.platform),
    monotonic: () => performance.now(),
    sleep,
    ...more,
  };
}
