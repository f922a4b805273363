import type { Parameters } from "../../client/target.ts";
import { type OperationId, operations } from "../../contract/operations/index.ts";
import type { Operation } from "../../contract/operations/operation.ts";
import { type CliError, usageError } from "../errors.ts";
import { suggestion } from "../kit/failure.ts";
import { clean, shorten } from "../kit/text.ts";

/** A call of the contract, as a path names it. */
export interface NamedCall {
  readonly id: OperationId;
  readonly operation: Operation;
  readonly params: Parameters;
  readonly query: Parameters;
}

const ENTRIES = Object.entries(operations) as [OperationId, Operation][];

/** Signing in carries secrets, and has commands of its own. */
const SIGN_IN = /^\/(auth|oauth)\//;

/** What stands for the organization in use: as in the contract, and shorter. */
const ORGANIZATION = /^\{(org|organizationId)\}$/;

const LIST_HINT = "The paths are those of `secureflag-licenses api GET /openapi.json`.";

/**
 * Finds the call that a method and a path name.
 *
 * @param target the path below the API URL, with its query; `{org}` stands for the organization in use
 * @param organizationId asked only if the path has `{org}`
 * @throws CliError `invalid_usage` for anything that is not a call of the contract; what `organizationId` throws
 */
export async function findCall(
  method: string,
  target: string,
  organizationId: () => Promise<number>,
): Promise<NamedCall> {
  const [path = "", ...search] = target.split("?");
  const segments = segmentsOf(path);
  const [id, operation] = operationAt(method, segments);
  const named = operation.path
    .split("/")
    .slice(1)
    .flatMap((part, index): [string, string][] =>
      part.startsWith("{") ? [[part.slice(1, -1), segments[index] ?? ""]] : [],
    );
  const values: [string, string][] = [];
  for (const [name, value] of named) {
    const isOrganization = name === "organizationId" && ORGANIZATION.test(value);
    values.push([name, isOrganization ? String(await organizationId()) : value]);
  }
  const params = Object.fromEntries(values);
  const query = queryOf(operation, search.join("?"));
  assertValid(operation.params, params);
  assertValid(operation.query, query);
  return { id, operation, params, query };
}

/** Lists the paths of a method that are offered, with what they do. */
export function callsOf(method: string): (readonly [path: string, summary: string])[] {
  return ENTRIES.filter(([, operation]) => operation.method === method && !SIGN_IN.test(operation.path)).map(
    ([, { path, summary }]) => [path.replace("{organizationId}", "{org}"), summary],
  );
}

/** @throws CliError `invalid_usage` for what is not a plain path: an address, a fragment, `..`, broken encoding */
function segmentsOf(path: string): string[] {
  if (/^[a-z][a-z\d+.-]*:/i.test(path) || path.startsWith("//") || /[#\\]/.test(path)) {
    throw usageError(`Not a path of the API: ${shown(path)}`, "Pass a path below the API URL, such as /me.");
  }
  const segments = path.replace(/^\//, "").split("/").map(decoded);
  if (!segments.some((segment) => segment === null || segment === "." || segment === "..")) return segments as string[];
  throw usageError(`Not a path of the API: ${shown(path)}`, "Pass a path below the API URL, such as /me.");
}

function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}

function operationAt(method: string, segments: readonly string[]): [OperationId, Operation] {
  const there = ENTRIES.filter(([, { path }]) => fits(path, segments));
  // Literal words come before parameters, as in a router.
  const [found] = there.filter(([, operation]) => operation.method === method).sort(byParameters);
  if (found && !SIGN_IN.test(found[1].path)) return found;
  const path = `/${segments.join("/")}`;
  if (found) throw usageError(`${path} is not offered: it carries secrets`, "Use `secureflag-licenses login`.");
  if (there.length > 0) {
    const methods = [...new Set(there.map(([, operation]) => operation.method))].join(", ");
    throw usageError(`${method} is not a method of ${shown(path)}`, `It takes ${methods}.`);
  }
  throw unknownPath(path, segments);
}

function byParameters([, one]: [OperationId, Operation], [, other]: [OperationId, Operation]): number {
  return countOf(one.path) - countOf(other.path);
}

function countOf(path: string): number {
  return path.split("{").length;
}

function fits(path: string, segments: readonly string[]): boolean {
  const parts = path.split("/").slice(1);
  return (
    parts.length === segments.length &&
    parts.every((part, index) => part === segments[index] || (part.startsWith("{") && segments[index] !== ""))
  );
}

/** Suggests the nearest path, with the values that were given for what its parameters stand for. */
function unknownPath(path: string, segments: readonly string[]): CliError {
  const candidates = ENTRIES.filter(([, operation]) => !SIGN_IN.test(operation.path)).flatMap(([, operation]) => {
    const parts = operation.path.split("/").slice(1);
    if (parts.length !== segments.length) return [];
    return [`/${parts.map((part, index) => (part.startsWith("{") ? segments[index] : part)).join("/")}`];
  });
  const nearest = /[\s<[-]/.test(path.slice(0, 2)) ? null : suggestion(path, [...new Set(candidates)]);
  return usageError(`Unknown path: ${shown(path)}`, nearest ?? LIST_HINT);
}

function queryOf({ query, path }: Operation, search: string): Record<string, string> {
  const known = Object.keys(query?.shape ?? {});
  const values: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(search)) {
    if (!known.includes(name)) {
      const hint = known.length === 0 ? "Remove the query." : `It takes ${known.join(", ")}.`;
      throw usageError(`Unknown query parameter of ${path}: ${shown(name)}`, hint);
    }
    if (Object.hasOwn(values, name)) throw usageError(`The query parameter ${name} is there twice`, "Pass it once.");
    values[name] = value;
  }
  return values;
}

function assertValid(schema: Operation["params"], values: Readonly<Record<string, string>>): void {
  const issue = schema?.safeParse(values).error?.issues[0];
  if (!issue) return;
  const name = String(issue.path[0]);
  throw usageError(`Invalid ${name}: ${shown(values[name] ?? "")}`, "Correct the path, or its query.");
}

function shown(text: string): string {
  return shorten(clean(text));
}
