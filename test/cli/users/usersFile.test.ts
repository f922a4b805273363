import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { MAX_FILE_BYTES } from "../../../src/cli/users/csvUsers.ts";
import { readUsersFile } from "../../../src/cli/users/usersFile.ts";

const directory = mkdtempSync(join(tmpdir(), "users-"));

afterAll(() => rmSync(directory, { recursive: true }));

const piped = (text: string) => ({ stdinIsTerminal: false, readInput: async () => Buffer.from(text) });

const nothing = {
  stdinIsTerminal: true,
  readInput: () => Promise.reject(new TypeError("stdin may not be read")),
};

describe("a file of users", () => {
  it("is read unchanged, even if it is not text", async () => {
    const path = join(directory, "latin1.csv");
    const bytes = Buffer.from([0x61, 0xe9, 0x0d, 0x0a]);
    writeFileSync(path, bytes);
    expect(await readUsersFile(path, nothing)).toEqual(bytes);
  });

  it("is stdin for -", async () => {
    expect((await readUsersFile("-", piped("email\r\n"))).toString()).toBe("email\r\n");
  });

  it.each(["-", "/nonexistent/users.csv", directory])("fails for %s if there is nothing to read", async (path) => {
    await expect(readUsersFile(path, nothing)).rejects.toMatchObject({ code: "users_file_invalid" });
  });

  it("is read only up to the limit if it is too large", async () => {
    const path = join(directory, "large.csv");
    writeFileSync(path, "");
    truncateSync(path, MAX_FILE_BYTES + 10_000_000);
    expect(await readUsersFile(path, nothing)).toHaveLength(MAX_FILE_BYTES + 1);
  });

  it.each(["/dev/zero", "/dev/null"])("cannot be %s", async (path) => {
    await expect(readUsersFile(path, nothing)).rejects.toThrow("it is not a file");
  });
});
