import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readPrivateFile, removePrivateFile, writePrivateFile } from "../../../src/cli/files/privateFile.ts";
import { temporaryDirectory, testMachine } from "../support/machine.ts";

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

test("writes complete files that only their owner can read, and directories likewise", () => {
  const directory = join(temporaryDirectory(), "a", "b");
  const path = join(directory, "file.json");
  const machine = testMachine();
  writePrivateFile(path, "one", machine);
  writePrivateFile(path, "two", machine);
  expect(readPrivateFile(path, machine)).toBe("two");
  expect([modeOf(path), modeOf(directory), modeOf(join(directory, ".."))]).toEqual(["600", "700", "700"]);
  expect(readdirSync(directory)).toEqual(["file.json"]);
  expect(machine.reached).toEqual(["C6", "C6"]);
});

test("fails instead of retrying forever if the directory cannot be created", () => {
  const file = join(temporaryDirectory(), "file");
  writeFileSync(file, "");
  // Linux's /proc takes none and says that it was not found.
  for (const place of ["/proc/secureflag/a", file, join(file, "a")]) {
    expect(() => writePrivateFile(join(place, "x.json"), "one", testMachine())).toThrow(/ENOENT|ENOTDIR|EEXIST/);
  }
});

test("C6: after a kill before the rename, the old file is intact and the next write succeeds", () => {
  const directory = temporaryDirectory();
  const path = join(directory, "file.json");
  writePrivateFile(path, "old", testMachine());
  const killed = testMachine({
    reach: () => {
      throw new TypeError("killed");
    },
  });
  expect(() => writePrivateFile(path, "lost", killed)).toThrow("killed");
  expect(readdirSync(directory)).toHaveLength(2);
  expect(readdirSync(directory).map((name) => modeOf(join(directory, name)))).toEqual(["600", "600"]);
  expect(readPrivateFile(path, testMachine())).toBe("old");
  writePrivateFile(path, "new", testMachine());
  expect(readPrivateFile(path, testMachine())).toBe("new");
  expect(readdirSync(directory)).toEqual(["file.json"]);
});

test("a link planted at the path of the temporary file is not followed", () => {
  const directory = temporaryDirectory();
  const [path, victim] = [join(directory, "file.json"), join(directory, "victim")];
  writeFileSync(victim, "precious");
  const machine = testMachine();
  symlinkSync(victim, `${path}.${machine.pid}.tmp`);
  writePrivateFile(path, "new", machine);
  expect(readFileSync(victim, "utf8")).toBe("precious");
  expect(statSync(path).isFile()).toBe(true);
});

test("a missing file is null, even in a missing directory", () => {
  const directory = temporaryDirectory();
  expect(readPrivateFile(join(directory, "none"), testMachine())).toBeNull();
  expect(readPrivateFile(join(directory, "none", "none"), testMachine())).toBeNull();
});

test.each([
  [0o644, "chmod 600"],
  [0o640, "chmod 600"],
  [0o604, "chmod 600"],
  [0o602, "chmod 600"],
])("mode %o is rejected with the command to run", (mode, hint) => {
  const path = join(temporaryDirectory(), "file.json");
  writeFileSync(path, "x");
  chmodSync(path, mode);
  expect(() => readPrivateFile(path, testMachine())).toThrow(
    expect.objectContaining({
      code: "credentials_unsafe",
      message: expect.stringContaining(path),
      hint: expect.stringContaining(`${hint} "${path}"`),
    }),
  );
  // A system without users has no modes either.
  expect(readPrivateFile(path, testMachine({ uid: null }))).toBe("x");
});

test("a link, another user's file and a non-file are rejected", () => {
  const directory = temporaryDirectory();
  const [path, link, folder] = [join(directory, "file"), join(directory, "link"), join(directory, "folder")];
  writePrivateFile(path, "x", testMachine());
  symlinkSync(path, link);
  mkdirSync(folder, { mode: 0o700 });
  const unsafe = expect.objectContaining({ code: "credentials_unsafe" });
  expect(() => readPrivateFile(link, testMachine())).toThrow(unsafe);
  expect(() => readPrivateFile(folder, testMachine())).toThrow(unsafe);
  expect(() => readPrivateFile(path, testMachine({ uid: 4_000_000 }))).toThrow(unsafe);
});

test("removing reports whether there was a file", () => {
  const path = join(temporaryDirectory(), "file");
  writePrivateFile(path, "x", testMachine());
  expect([removePrivateFile(path, testMachine()), removePrivateFile(path, testMachine())]).toEqual([true, false]);
});
