import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { execa } from "execa";
import { expect, test } from "vitest";
import { type LockMachine, withFileLock } from "../../../src/cli/files/fileLock.ts";
import { temporaryDirectory, testMachine } from "../support/machine.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

const DEAD = JSON.stringify({ pid: 999_999_999, startedAt: "then" });

/** A machine on which time passes by sleeping only. `during` runs at every sleep. */
function timeless(more: Partial<LockMachine> = {}, during = (_elapsed: number) => {}): LockMachine {
  let time = 0;
  return testMachine({
    monotonic: () => time,
    sleep: async (milliseconds) => {
      time += milliseconds;
      during(time);
    },
    processStart: async (pid) => (pid === 999_999_999 ? null : `start of ${pid}`),
    ...more,
  });
}

function lockFile(content?: string): string {
  const path = join(temporaryDirectory(), "test.lock");
  if (content !== undefined) writeFileSync(path, content, { mode: 0o600 });
  return path;
}

const isThere = (path: string) => statSync(path, { throwIfNoEntry: false }) !== undefined;

test("the lock names its owner while work runs, is readable only by it, and is removed however the work ends", async () => {
  const path = join(temporaryDirectory(), "new", "test.lock");
  const machine = timeless();
  const seen = await withFileLock(path, machine, async () => {
    const modes = [path, join(path, "..")].map((place) => statSync(place).mode & 0o777);
    return { modes, owner: JSON.parse(readFileSync(path, "utf8")) };
  });
  expect(seen).toEqual({
    modes: [0o600, 0o700],
    owner: { pid: process.pid, startedAt: `start of ${process.pid}` },
  });
  expect(isThere(path)).toBe(false);
  const failing = withFileLock(path, machine, () => Promise.reject(new TypeError("no")));
  await expect(failing).rejects.toThrow("no");
  expect(isThere(path)).toBe(false);
});

test.each([
  ["whose process has ended", DEAD],
  ["whose process ID was reused", JSON.stringify({ pid: process.pid, startedAt: "earlier" })],
])("a lock %s is taken over at once", async (_what, content) => {
  const path = lockFile(content);
  let slept = 0;
  const machine = timeless({}, () => {
    slept += 1;
  });
  expect(await withFileLock(path, machine, async () => "done")).toBe("done");
  expect([slept, isThere(path), isThere(`${path}.takeover`)]).toEqual([0, false, false]);
});

test("a takeover that was killed does not block the lock", async () => {
  const path = lockFile(DEAD);
  writeFileSync(`${path}.takeover`, DEAD, { mode: 0o600 });
  expect(await withFileLock(path, timeless(), async () => "done")).toBe("done");
  expect([isThere(path), isThere(`${path}.takeover`)]).toEqual([false, false]);
});

test.each(["", "{", '{"pid":"1"}'])("a lock without an owner (%s) is left alone for 2 s", async (content) => {
  const path = lockFile(content);
  let elapsed = 0;
  const machine = timeless({}, (now) => {
    elapsed = now;
  });
  expect(await withFileLock(path, machine, async () => "done")).toBe("done");
  expect(elapsed).toBeGreaterThanOrEqual(2000);
  expect(elapsed).toBeLessThan(3000);
});

test("a lock that is being written belongs to its writer", async () => {
  const path = lockFile("");
  const machine = timeless({}, (now) => {
    if (now === 1000) writeFileSync(path, JSON.stringify({ pid: 7, startedAt: "start of 7" }));
  });
  await expect(withFileLock(path, machine, async () => "done")).rejects.toMatchObject({ code: "sign_in_busy" });
});

test("a running owner is waited for, but no longer than 30 s", async () => {
  const owner = JSON.stringify({ pid: 7, startedAt: "start of 7" });
  const path = lockFile(owner);
  let elapsed = 0;
  const machine = timeless({}, (now) => {
    elapsed = now;
  });
  await expect(withFileLock(path, machine, async () => "done")).rejects.toMatchObject({
    code: "sign_in_busy",
    message: expect.stringContaining("process 7"),
  });
  expect(elapsed).toBe(30_000);
  expect(readFileSync(path, "utf8")).toBe(owner);
});

test("a lock is taken over after 30 s if process start times are unavailable", async () => {
  const path = lockFile(JSON.stringify({ pid: 7, startedAt: "unknown" }));
  const machine = timeless({ processStart: async () => null, uid: null });
  expect(await withFileLock(path, machine, async () => "done")).toBe("done");
});

test("a file that is not this user's lock is rejected", async () => {
  const [link, folder, open] = [lockFile(), lockFile(), lockFile(DEAD)];
  symlinkSync(lockFile(DEAD), link);
  mkdirSync(folder, { mode: 0o700 });
  chmodSync(open, 0o644);
  for (const path of [link, folder, open]) {
    const refused = withFileLock(path, timeless(), async () => "done");
    await expect(refused).rejects.toMatchObject({ code: "credentials_unsafe" });
  }
  const shared = lockFile();
  chmodSync(join(shared, ".."), 0o777);
  await expect(withFileLock(shared, timeless(), async () => "done")).rejects.toMatchObject({
    code: "credentials_unsafe",
    hint: expect.stringContaining("chmod 700"),
  });
});

test("work does not start if the lock cannot be written", async () => {
  const file = lockFile("");
  let began = false;
  const work = withFileLock(join(file, "below", "x.lock"), timeless(), async () => {
    began = true;
  });
  await expect(work).rejects.toMatchObject({ code: "credentials_unreadable" });
  expect(began).toBe(false);
});

test("processes never work at the same time, even if some are killed while holding the lock", async () => {
  const directory = temporaryDirectory();
  const [lock, counter, script] = [join(directory, "l.lock"), join(directory, "count"), join(directory, "script.ts")];
  writeFileSync(lock, DEAD, { mode: 0o600 });
  writeFileSync(counter, "0");
  // Every process counts a file up twenty times by reading and writing it; every second one dies inside the lock then.
  writeFileSync(
    script,
    `import { readFileSync, writeFileSync } from "node:fs";
     import { setTimeout as sleep } from "node:timers/promises";
     import { withFileLock } from "${root}src/cli/files/fileLock.ts";
     import { processProbe } from "${root}src/cli/files/processProbe.ts";
     const machine = { pid: process.pid, uid: process.getuid?.() ?? null, reach: () => {}, sleep, retryBusy: (work) => work(),
       monotonic: () => performance.now(),
       processStart: processProbe({ ...process, monotonic: () => performance.now() }) };
     for (let time = 0; time < 20; time += 1) await withFileLock(${JSON.stringify(lock)}, machine, async () => {
       const count = Number(readFileSync(${JSON.stringify(counter)}, "utf8"));
       await sleep(1);
       writeFileSync(${JSON.stringify(counter)}, String(count + 1));
     });
     if (process.pid % 2) await withFileLock(${JSON.stringify(lock)}, machine, async () => process.kill(process.pid, "SIGKILL"));`,
  );
  const program = join(directory, "program.mjs");
  await build({ entryPoints: [script], outfile: program, bundle: true, platform: "node", format: "esm" });
  const run = () => execa(process.execPath, [program], { reject: false });
  const ended = await Promise.all(Array.from({ length: 6 }, run));
  expect(ended.map(({ stderr }) => stderr)).toEqual(ended.map(() => ""));
  expect(readFileSync(counter, "utf8")).toBe("120");
}, 60_000);
