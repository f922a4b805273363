import type { z } from "zod";
import { ProblemError } from "../problem.ts";

/** An answer names so many errors: those of a long request would make one that nobody takes. */
const MOST_ERRORS = 50;

/**
 * Checks what came against a schema of the contract.
 *
 * @throws ProblemError `invalid_request` with `errors: [{path, message}]`, at most `MOST_ERRORS`
 */
export function validated<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const all = result.error.issues.flatMap(describeIssue);
  const errors = all.slice(0, MOST_ERRORS);
  const summary = errors.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ");
  const more = all.length > errors.length ? `; and ${all.length - errors.length} more` : "";
  throw new ProblemError("invalid_request", `The request is not valid: ${summary}${more}`, { errors });
}

/** Where and what, one line each; an unknown field is named by its own path. */
export function describeIssue(issue: z.core.$ZodIssue): { path: string; message: string }[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: pathText([...issue.path, key]), message: "is not a known field" }));
  }
  const isMissing = issue.code === "invalid_type" && issue.message.endsWith("received undefined");
  return [{ path: pathText(issue.path), message: isMissing ? "is missing" : issue.message }];
}

/** `["organizations", 0, "name"]` → `organizations[0].name`. */
function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? String(part) : `${text}.${String(part)}`;
  }, "");
}
