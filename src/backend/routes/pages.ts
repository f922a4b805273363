import { ProblemError } from "../problem.ts";

const DEFAULT_LIMIT = 20;
const LARGEST_LIMIT = 100;

/**
 * How many items a page of a list has: 20 unless asked, at most 100.
 *
 * @throws ProblemError `invalid_request`
 */
export function pageLimit(asked: number | undefined): number {
  if (asked === undefined) return DEFAULT_LIMIT;
  if (asked >= 1 && asked <= LARGEST_LIMIT) return asked;
  const message = `is 1 to ${LARGEST_LIMIT}`;
  throw new ProblemError("invalid_request", `The request is not valid: limit: ${message}`, {
    errors: [{ path: "limit", message }],
  });
}
