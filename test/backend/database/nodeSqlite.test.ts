import { expect, test } from "vitest";
import { hasCompleteSqlite, loadNodeSqlite } from "../../../src/backend/database/nodeSqlite.ts";

test.each([
  ["20.18.1", false],
  ["20.20.2", false],
  ["21.7.3", false],
  ["22.5.0", false],
  ["22.18.0", false],
  ["22.19.0", true],
  ["22.23.3", true],
  ["23.11.1", false],
  ["24.0.0", true],
  ["24.21.0", true],
  ["25.1.0", true],
  ["26.0.0-nightly2026", true],
])("Node.js %s has the SQLite that is used: %s", (version, expected) => {
  expect(hasCompleteSqlite(version)).toBe(expected);
});

test("it is loaded where it is, and warnings are emitted as before", () => {
  const { emitWarning } = process;
  expect(loadNodeSqlite() !== null).toBe(hasCompleteSqlite(process.versions.node));
  expect(process.emitWarning).toBe(emitWarning);
});
