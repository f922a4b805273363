import type { z } from "zod";
import { ProblemError } from "../problem.ts";

/**
 * Checks what came against a schema of the contract.
 *
 * @throws ProblemError `invalid_request` with `errors: [{path, message}]`
 */
export function validated<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const errors = result.error.issues.flatMap(describeIssue);
  const summary = errors.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ");
  throw new ProblemError("invalid_request", `The request is not valid: ${summary}`, { errors });
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
