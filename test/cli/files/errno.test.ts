import fs, { readdirSync, readFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { busyRetry } from "../../../src/cli/files/errno.ts";
import { withFileLock } from "../../../src/cli/files/fileLock.ts";
import {
  growPrivateFile,
  readPrivateFile,
  removePrivateFile,
  writePrivateFile,
} from "../../../src/cli/files/privateFile.ts";
import { temporaryDirectory, testMachine } from "../support/machine.ts";

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: not now`), { code });
}

describe("work on files that another program holds", () => {
  test.each(["EPERM", "EACCES", "EBUSY"])("is tried again on Windows after %s, for a second at most", (code) => {
    const waits: number[] = [];
    const retry = busyRetry("win32", (milliseconds) => waits.push(milliseconds));
    let left = 2;
    const work = () => {
      left -= 1;
      if (left >= 0) throw systemError(code);
      return "done";
    };
    expect([retry(work), waits.length]).toEqual(["done", 2]);
    left = Number.POSITIVE_INFINITY;
    expect(() => retry(work)).toThrow(code);
    const [, , ...after] = waits;
    expect(after.reduce((sum, wait) => sum + wait)).toBe(1000);
  });

  test.each([
    ["win32", "ENOSPC"],
    ["linux", "EPERM"],
    ["darwin", "EBUSY"],
  ])("is done once on %s after %s", (platform, code) => {
    let tries = 0;
    const work = () => {
      tries += 1;
      throw systemError(code);
    };
    expect(() => busyRetry(platform, () => expect.unreachable())(work)).toThrow(code);
    expect(tries).toBe(1);
  });

  test("waits without leaving the thread", () => {
    const began = performance.now();
    let isFirst = true;
    busyRetry("win32")(() => {
      if (!isFirst) return;
      isFirst = false;
      throw systemError("EPERM");
    });
    expect(performance.now() - began).toBeGreaterThanOrEqual(9);
  });
});

/** What touches a name in a directory, as `node:fs` has it. */
const TOUCHING = ["renameSync", "linkSync", "rmSync", "openSync", "writeFileSync"] as const;

const real = Object.fromEntries(TOUCHING.map((name) => [name, fs[name]]));

/** Every first touch of a name by each function fails, as where a scanner opens what is new. */
function scan(folder: string): void {
  const touched = new Set<string>();
  for (const name of TOUCHING) {
    const touch = (...args: unknown[]) => {
      const path = String(args[0]);
      const key = `${name} ${path}`;
      // Reading the directory, to flush it, is not touching a name in it.
      if (typeof args[0] === "string" && path.startsWith(join(folder, "/")) && !touched.has(key)) {
        touched.add(key);
        throw systemError("EPERM");
      }
      return Reflect.apply(real[name] as () => unknown, fs, args);
    };
    Object.assign(fs, { [name]: touch });
  }
  syncBuiltinESMExports();
}

afterEach(() => {
  Object.assign(fs, real);
  syncBuiltinESMExports();
});

describe("with a virus scanner on Windows", () => {
  const windows = () => testMachine({ uid: null, retryBusy: busyRetry("win32", () => {}) });

  test("files are written, replaced, read, grown and removed", () => {
    const folder = temporaryDirectory();
    const [path, grown, once] = [join(folder, "a.json"), join(folder, "b.pdf"), join(folder, "c.json")];
    const machine = windows();
    scan(folder);
    writePrivateFile(path, "one", machine);
    writePrivateFile(path, "two", machine);
    writePrivateFile(once, "three", machine, { replace: false });
    const file = growPrivateFile(grown, machine);
    file.write(Buffer.from("whole"));
    file.finish(true);
    expect([path, once, grown].map((place) => readPrivateFile(place, machine))).toEqual(["two", "three", "whole"]);
    expect([removePrivateFile(path, machine), removePrivateFile(path, machine)]).toEqual([true, false]);
    expect(readdirSync(folder)).toEqual(["b.pdf", "c.json"]);
  });

  test("a lock is taken and given back", async () => {
    const folder = temporaryDirectory();
    const path = join(folder, "x.lock");
    scan(folder);
    const owner = await withFileLock(path, windows(), async () => JSON.parse(readFileSync(path, "utf8")));
    expect([owner.pid, readdirSync(folder)]).toEqual([process.pid, []]);
  });
});
