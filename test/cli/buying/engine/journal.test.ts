import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createJournal, type JournalEntry, type JournalMachine } from "../../../../src/cli/buying/engine/journal.ts";
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

test("an entry is whole, private and named by its key's digest", async () => {
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

test("entries are those of one organization at one backend, oldest first", async () => {
  const journal = createJournal(temporaryDirectory(), machine(7, { 7: "monday" }));
  await journal.record(key("late", { createdAt: "2026-11-22T11:00:00.000Z" }));
  await journal.record(key("early", { createdAt: "2026-11-22T09:00:00.000Z" }));
  await journal.record(key("elsewhere", { origin: "http://127.0.0.1:4011" }));
  await journal.record(key("others", { organizationId: 4202 }));
  const keys = (await journal.entries(origin, 4201)).map(({ idempotencyKey }) => idempotencyKey);
  expect(keys).toEqual(["early", "late"]);
});

test("removing takes one entry, and a key without one is no error", async () => {
  const journal = createJournal(temporaryDirectory(), machine(7, { 7: "monday" }));
  await journal.record(key("a"));
  await journal.record(key("b"));
  journal.remove("a");
  journal.remove("a");
  expect(await journal.entries(origin, 4201)).toMatchObject([{ idempotencyKey: "b" }]);
});

test("what cannot be written is said, and nothing is there", async () => {
  const file = join(temporaryDirectory(), "file");
  writeFileSync(file, "");
  const journal = createJournal(file, machine(7, { 7: "monday" }));
  await expect(journal.record(key("a"))).rejects.toMatchObject({
    code: "journal_not_written",
    message: expect.stringContaining("was not sent"),
  });
});

test.each([
  ["broken JSON", "{", 0o600],
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

test("a temporary file of a killed process is no entry", async () => {
  const directory = temporaryDirectory();
  const journal = createJournal(directory, machine(7, { 7: "monday" }));
  await journal.record(key("a"));
  journal.remove("a");
  writeFileSync(join(directory, "journal", "0.json.9.tmp"), "{");
  expect(await journal.entries(origin, 4201)).toEqual([]);
});

test.each([
  ["the same process still runs", { 8: "monday" }, true],
  ["it has ended", {}, false],
  ["its number is another's now", { 8: "tuesday" }, false],
])("an owner: %s", async (_name, starts, expected) => {
  const directory = temporaryDirectory();
  await createJournal(directory, machine(8, { 8: "monday" })).record(key("a"));
  const journal = createJournal(directory, machine(7, { 7: "monday", ...starts }));
  const [found] = await journal.entries(origin, 4201);
  expect(found && (await journal.ownerRuns(found))).toBe(expected);
});

test("one's own entry is owned by nobody else", async () => {
  const journal = createJournal(temporaryDirectory(), machine(7, { 7: "monday" }));
  await journal.record(key("a"));
  const [found] = await journal.entries(origin, 4201);
  expect(found && (await journal.ownerRuns(found))).toBe(false);
});
