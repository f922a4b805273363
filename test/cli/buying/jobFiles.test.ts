import { spawnSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { appendForJob } from "../../../src/cli/buying/jobSummary.ts";
import { fakeContext } from "../support/fakeContext.ts";

const OPTIONS = { json: false, color: false, quiet: false, verbose: false };

describe("a step file of GitHub Actions", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "sfl-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function append(path: string): Promise<string> {
    const context = fakeContext({ env: { GITHUB_OUTPUT: path } });
    await appendForJob(context, OPTIONS, "GITHUB_OUTPUT", "licenses=5\n");
    return context.written.stderr;
  }

  it("is appended to, even through a link, and created if missing", async () => {
    const path = join(folder, "output");
    expect(await append(path)).toBe("");
    symlinkSync(path, join(folder, "link"));
    expect(await append(join(folder, "link"))).toBe("");
    expect(readFileSync(path, "utf8")).toBe("licenses=5\nlicenses=5\n");
  });

  it.each<[string, (path: string) => unknown]>([
    ["a named pipe without a reader", (path) => spawnSync("sh", ["-c", 'mkfifo "$0"', path])],
    ["a directory", (path) => mkdirSync(path)],
    ["a device", (path) => symlinkSync("/dev/null", path)],
    ["below a file", (path) => writeFileSync(join(path, ".."), "")],
  ])("that is %s causes a warning, and neither blocks nor fails the command", async (what, make) => {
    const path = what === "below a file" ? join(folder, "file", "output") : join(folder, "output");
    make(path);
    expect(await append(path)).toContain("Failed to write GITHUB_OUTPUT: ");
  });

  it("that is a named pipe with a reader is not written to", async () => {
    const path = join(folder, "pipe");
    spawnSync("sh", ["-c", 'mkfifo "$0"', path]);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      expect(await append(path)).toContain("Failed to write");
    } finally {
      closeSync(reader);
    }
  });
});
