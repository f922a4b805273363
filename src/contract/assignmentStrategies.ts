/** What is assigned to everybody who is added to an organization. In a file without schemas, because it is a flag's choice, too. */
export const ASSIGNMENT_STRATEGIES = ["NONE", "INITIAL_PLAN", "INITIAL_PATH", "INITIAL_LABS"] as const;

/** One of them. */
export type AssignmentStrategy = (typeof ASSIGNMENT_STRATEGIES)[number];
