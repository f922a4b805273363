import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import {
  createJournal,
  type Journal,
  type JournalEntry,
  type JournalMachine,
} from "../../../../src/cli/buying/engine/journal.ts";
import { temporaryDirectory, testMachine } from "../../support/machine.ts";

const origin = "http://127.0.0.1:4010";

const entry: Omit<JournalEntry, "owner" | "settledAt"> = {
  idempotencyKey: "key/1 \u007e",
  keySource: "random",
  origin,
  apiUrl: `${origin}/rest/management/v2`,
  organizationId: 4201,
  quoteId: "quo_1",
  licenses: 5,
  purchased: 25,
  target: null,
  total: { amount: 24_410, currency: "GBP" },
  purchaseOrder: "PO-1",
  note: null,
  createdAt: "2026-11-22T10:00:00.000Z",
};

const key = (idempotencyKey: string, more: Partial<JournalEntry> = {}) => ({ ...entry, idempotencyKey, ...more });

/** A machine on which these processes run. */
function machine(pid: number, starts: Record<number, string>): JournalMachine & { reached: string[] } {
  return { ...testMachine({ pid }), processStart: async (asked) => starts[asked] ?? null };
}

/** The names of the files of a journal. */
const filesOf = (directory: string) => readdirSync(join(directory, "journal"));

test("an entry is complete, private and named after its key's digest", async () => {
  const directory = join(temporaryDirectory(), "config");
  const here = machine(7, { 7: "monday" });
  const journal = createJournal(directory, here);
  expect(await journal.entries(origin, 4201)).toEqual([]);
  await journal.record(key("a/b"));
  expect(here.reached).toEqual(["C0", "C6", "C1"]);
  expect(await journal.entries(origin, 4201)).toEqual([
    { ...key("a/b"), settledAt: null, owner: { pid: 7, startedAt: "monday" } },
  ]);
  const [name = ""] = readdirSync(join(directory, "journal"));
  expect(name).toMatch(/^[0-9a-f]{64}\.json$/);
  expect(statSync(join(directory, "journal", name)).mode & 0o777).toBe(0o600);
  expect(statSync(join(directory, "journal")).mode & 0o777).toBe(0o700);
  expect(readFileSync(join(directory, "journal", name), "utf8")).toContain('"quoteId": "quo_1"');
});

test("entries belong to one organization at one backend, oldest first", async () => {
  const journal = createJournal(temporaryDirectory(), machine(7, { 7: "monday" }));
  const hours = ["15", "09", "17", "11", "13"];
  for (const hour of hours) await journal.record(key(hour, { createdAt: `2026-11-22T${hour}:00:00.000Z` }));
  await journal.record(key("elsewhere", { origin: "http://127.0.0.1:4011" }));
  await journal.record(key("others", { organizationId: 4202 }));
  const keys = (await journal.entries(origin, 4201)).map(({ idempotencyKey }) => idempotencyKey);
  expect(keys).toEqual([...hours].sort());
});

test("removing deletes one entry, and a key without one is not an error", async () => {
  const journal = createJournal(temporaryDirectory(), machine(7, { 7: "monday" }));
  await journal.record(key("a"));
  await journal.record(key("b"));
  journal.remove("a");
  journal.remove("a");
  expect(await journal.entries(origin, 4201)).toMatchObject([{ idempotencyKey: "b" }]);
});

test.each(["random", "ci", "file", "explicit"] as const)("a key with source %s is read back", async (keySource) => {
  const journal = createJournal(temporaryDirectory(), machine(7, { 7: "monday" }));
  await journal.record(key("a", { keySource }));
  expect(await journal.entries(origin, 4201)).toMatchObject([{ keySource }]);
});

test("a failed write is reported and leaves nothing behind", async () => {
  const file = join(temporaryDirectory(), "file");
  writeFileSync(file, "");
  const journal = createJournal(file, machine(7, { 7: "monday" }));
  await expect(journal.record(key("a"))).rejects.toMatchObject({
    code: "journal_not_written",
    message: expect.stringContaining("was not sent"),
    hint: expect.stringContaining("SECUREFLAG_CONFIG_DIR"),
    cause: expect.objectContaining({ code: "ENOTDIR" }),
  });
});

test("an unwritable journal is reported with its owner or permissions", async () => {
  const refuse = () => {
    throw Object.assign(new Error("denied"), { code: "EACCES" });
  };
  const directory = temporaryDirectory();
  const denying = { ...machine(7, { 7: "monday" }), reach: (point: string) => (point === "C6" ? refuse() : undefined) };
  await expect(createJournal(directory, denying).record(key("a"))).rejects.toMatchObject({
    code: "journal_not_written",
    message: expect.stringMatching(/was not sent.*permission denied/),
    hint: expect.stringContaining("permissions"),
    cause: expect.objectContaining({ code: "EACCES" }),
  });
});

test("the end of an entry is recorded once, and the entry is kept if that fails", async () => {
  const directory = temporaryDirectory();
  const journal = createJournal(directory, machine(7, { 7: "monday" }));
  await journal.record(key("a"));
  const [begun] = await journal.entries(origin, 4201);
  if (!begun) throw new Error("no entry");
  const settled = [{ ...begun, settledAt: "2026-11-22T10:05:00.000Z" }];
  journal.settle(begun, "2026-11-22T10:05:00.000Z");
  expect(await journal.entries(origin, 4201)).toEqual(settled);

  const failing = (error: Error) =>
    createJournal(directory, {
      ...machine(7, { 7: "monday" }),
      reach() {
        throw error;
      },
    });
  failing(Object.assign(new Error("full"), { code: "ENOSPC" })).settle(begun, "2026-11-22T10:06:00.000Z");
  expect(await journal.entries(origin, 4201)).toEqual(settled);

  const [name = ""] = filesOf(directory);
  chmodSync(join(directory, "journal", name), 0o644);
  journal.settle(begun, "2026-11-22T10:07:00.000Z");
  expect(readFileSync(join(directory, "journal", name), "utf8")).toContain("10:05:00");

  journal.remove("a");
  journal.settle(begun, "2026-11-22T10:08:00.000Z");
  expect(await journal.entries(origin, 4201)).toEqual([]);
});

test("an entry that is given up has no owner that runs, although its process does", async () => {
  const directory = temporaryDirectory();
  const processes = { 7: "monday", 8: "tuesday" };
  const journal = createJournal(directory, machine(7, processes));
  await journal.record(key("a"));
  const another = createJournal(directory, machine(8, processes));
  const isOwned = async () => {
    const [entry] = await another.entries(origin, 4201);
    return entry && (await another.ownerRuns(entry));
  };
  expect(await isOwned()).toBe(true);
  journal.release("a");
  expect(await isOwned()).toBe(false);
  journal.release("b");
  expect(await another.entries(origin, 4201)).toHaveLength(1);
});

test("an entry that another process removes meanwhile is ignored", async () => {
  const directory = temporaryDirectory();
  const journal = createJournal(directory, machine(7, { 7: "monday" }));
  await journal.record(key("a"));
  await journal.record(key("b"));
  const parse = vi.spyOn(JSON, "parse").mockImplementationOnce((text) => {
    for (const name of filesOf(directory)) rmSync(join(directory, "journal", name));
    parse.mockRestore();
    return JSON.parse(text);
  });
  expect(await journal.entries(origin, 4201)).toHaveLength(1);
});

test.each([
  ["read", (journal: Journal) => journal.entries(origin, 4201)],
  ["removed", async (journal: Journal) => journal.remove("a")],
])("a directory in place of an entry cannot be %s", async (_name, use) => {
  const directory = temporaryDirectory();
  const journal = createJournal(directory, machine(7, { 7: "monday" }));
  await journal.record(key("a"));
  const [name = ""] = filesOf(directory);
  const path = join(directory, "journal", name);
  rmSync(path);
  mkdirSync(path, { mode: 0o700 });
  await expect(use(journal)).rejects.toMatchObject({
    code: "journal_unreadable",
    message: expect.stringContaining(path),
    hint: expect.stringMatching(/remove/i),
    cause: expect.any(Error),
  });
});

test("a journal behind a circular link is not treated as empty", async () => {
  const directory = temporaryDirectory();
  symlinkSync("journal", join(directory, "journal"));
  const journal = createJournal(directory, machine(7, { 7: "monday" }));
  await expect(journal.entries(origin, 4201)).rejects.toMatchObject({
    code: "journal_unreadable",
    message: expect.stringContaining(join(directory, "journal")),
    hint: expect.stringContaining("purchases list"),
    cause: expect.objectContaining({ code: "ELOOP" }),
  });
});

test.each([
  ["malformed JSON", "{", 0o600],
  ["another shape", '{"idempotencyKey": "a"}', 0o600],
  ["a file that others can read", JSON.stringify({ ...key("a"), owner: { pid: 1, startedAt: "x" } }), 0o644],
])("%s is never ignored", async (_name, text, mode) => {
  const directory = temporaryDirectory();
  const journal = createJournal(directory, machine(7, { 7: "monday" }));
  await journal.record(key("a"));
  const [name = ""] = readdirSync(join(directory, "journal"));
  const path = join(directory, "journal", name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  const unreadable = { code: "journal_unreadable", message: expect.stringContaining(path) };
  await expect(journal.entries(origin, 4201)).rejects.toMatchObject(unreadable);
});

test("a temporary file of a killed process is not an entry", async () => {
  const directory = temporaryDirectory();
  const journal = createJournal(directory, machine(7, { 7: "monday" }));
  await journal.record(key("a"));
  journal.remove("a");
  writeFileSync(join(directory, "journal", "0.json.9.tmp"), "{");
  expect(await journal.entries(origin, 4201)).toEqual([]);
});

test.each([
  ["the process is still running", { 8: "monday" }, true],
  ["the process has ended", {}, false],
  ["the process ID was reused", { 8: "tuesday" }, false],
])("detects an owner: %s", async (_name, starts, expected) => {
  const directory = temporaryDirectory();
  await createJournal(directory, machine(8, { 8: "monday" })).record(key("a"));
  const journal = createJournal(directory, machine(7, { 7: "monday", ...starts }));
  const [found] = await journal.entries(origin, 4201);
  expect(found && (await journal.ownerRuns(found))).toBe(expected);
});

test("an owner with an unknown start time is treated as ended by another process", async () => {
  const directory = temporaryDirectory();
  await createJournal(directory, machine(8, {})).record(key("a"));
  const journal = createJournal(directory, machine(7, {}));
  const [found] = await journal.entries(origin, 4201);
  expect(found?.owner).toEqual({ pid: 8, startedAt: "unknown" });
  expect(found && (await journal.ownerRuns(found))).toBe(false);
});

test("one's own entry has no other owner", async () => {
  const journal = createJournal(temporaryDirectory(), machine(7, { 7: "monday" }));
  await journal.record(key("a"));
  const [found] = await journal.entries(origin, 4201);
  expect(found && (await journal.ownerRuns(found))).toBe(false);
});
