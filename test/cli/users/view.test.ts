import { expect, test } from "vitest";
import { ROLE_WORDS, roleNumber, STRATEGY_WORDS, strategyNamed } from "../../../src/cli/users/view.ts";

test.each([
  ["administrator", 0],
  ["creator", 5],
  ["threatcanvas-reviewer", 6],
  ["ThreatCanvas-Reviewer", 6],
  ["reviewer", null],
  ["manager", 3],
  ["statistics", 4],
  ["user", 7],
  ["Administrator", 0],
  ["0", 0],
  ["1", null],
  ["3", 3],
  ["4", 4],
  ["5", 5],
  ["6", 6],
  ["7", 7],
  ["-1", null],
  ["2", null],
  ["07", null],
  ["7.0", null],
  ["", null],
  ["admin", null],
  ["constructor", null],
  ["__proto__", null],
])("parses the role %j as %j", (text, number) => {
  expect(roleNumber(text)).toBe(number);
});

test.each([
  ["none", "NONE"],
  ["initial-plan", "INITIAL_PLAN"],
  ["Initial-Path", "INITIAL_PATH"],
  ["INITIAL_LABS", "INITIAL_LABS"],
  ["initial plan", null],
  ["plan", null],
  ["toString", null],
  ["", null],
])("parses the strategy %j as %j", (text, strategy) => {
  expect(strategyNamed(text)).toBe(strategy);
});

test("roles and strategies are named as on the command line", () => {
  expect(ROLE_WORDS.join("|")).toBe("administrator|manager|statistics|creator|threatcanvas-reviewer|user");
  expect(STRATEGY_WORDS.join("|")).toBe("none|initial-plan|initial-path|initial-labs");
});
