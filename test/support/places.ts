import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The top of the checkout. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The built program. */
export const BIN = fileURLToPath(new URL("../../bin/secureflag-licenses.js", import.meta.url));

/** The build output. */
export const DIST = fileURLToPath(new URL("../../dist", import.meta.url));

const made: string[] = [];

/** Creates an empty directory, which `removePlaces` removes. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "secureflag-licenses-"));
  made.push(path);
  return path;
}

/** Removes every directory created by this test file. */
export async function removePlaces(): Promise<void> {
  await Promise.all(made.splice(0).map((path) => rm(path, { recursive: true, force: true, maxRetries: 3 })));
}

/**
 * The environment of a program under test: `PATH`, and a home and a configuration directory of its own. No `CI`, no
 * `NO_COLOR`, no proxy.
 */
export function clearedEnvironment(home: string, extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { PATH: process.env.PATH ?? "", HOME: home, SECUREFLAG_CONFIG_DIR: join(home, "config"), ...extra };
}
