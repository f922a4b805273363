import { ROLES } from "../../billing/roles.ts";
import { ASSIGNMENT_STRATEGIES, type AssignmentStrategy } from "../../contract/assignmentStrategies.ts";

const ROLE_NUMBERS: ReadonlyMap<string, number> = new Map([
  ["administrator", ROLES.organizationAdministrator],
  ["manager", ROLES.manager],
  ["statistics", ROLES.statistics],
  ["creator", ROLES.creator],
  ["threatcanvas-reviewer", ROLES.threatCanvasReviewer],
  ["user", ROLES.user],
]);

/** The roles that a user may be given, by the words that people type (details.md, 24). */
export const ROLE_WORDS: readonly string[] = [...ROLE_NUMBERS.keys()];

/** The words for what is assigned to everybody who is added. */
export const STRATEGY_WORDS: readonly string[] = ASSIGNMENT_STRATEGIES.map(strategyWord);

/** `initial-plan` for `INITIAL_PLAN`. */
export function strategyWord(strategy: AssignmentStrategy): string {
  return strategy.toLowerCase().replaceAll("_", "-");
}

/** The number of a role given by its word, in any case, or by the number itself; `null` for what is none. */
export function roleNumber(text: string): number | null {
  const number = [...ROLE_NUMBERS.values()].find((role) => String(role) === text);
  return number ?? ROLE_NUMBERS.get(text.toLowerCase()) ?? null;
}

/** An assignment strategy: `initial-plan`, or as the contract writes it, `INITIAL_PLAN`; `null` for what is none. */
export function strategyNamed(text: string): AssignmentStrategy | null {
  const name = text.toUpperCase().replaceAll("-", "_");
  return ASSIGNMENT_STRATEGIES.find((strategy) => strategy === name) ?? null;
}
