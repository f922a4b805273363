import type { FastifyInstance, FastifyRequest } from "fastify";
import type { z } from "zod";
import { BASE_PATH, type Scope } from "../../contract/constants.ts";
import { type OperationId, operations } from "../../contract/operations/index.ts";
import { MAX_BODY_BYTES, type Operation } from "../../contract/operations/operation.ts";
import type { ApiTokenRow, UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";

type Operations = typeof operations;

type Output<Id extends OperationId, Part extends "params" | "query" | "body"> = Operations[Id] extends {
  [key in Part]: infer Schema extends z.ZodType;
}
  ? z.output<Schema>
  : undefined;

/** A request after it was let in and checked. */
interface Call<Id extends OperationId> {
  readonly params: Output<Id, "params">;
  readonly query: Output<Id, "query">;
  readonly body: Output<Id, "body">;
  readonly request: FastifyRequest;
  /** Who calls; only public calls have nobody. */
  readonly identity: Operations[Id]["access"] extends "public" ? null : Identity;
  /** The organization that the path names, as the caller's. */
  readonly organization: Operations[Id]["access"] extends Scope | "administrator" ? Membership : null;
}

/** What is answered: a status that the operation lists, its body, and headers. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Does the work of one operation. Refusals are thrown as `ProblemError`. */
export type Handler<Id extends OperationId> = (call: Call<Id>) => Promise<Answer>;

/** Decides who is let in. */
export interface Guard {
  /** @throws ProblemError `unauthenticated` */
  authenticate(authorization: string | undefined): Promise<Identity>;
  /** @throws ProblemError `not_found`, `forbidden`, `insufficient_scope` */
  authorize(identity: Identity, organizationId: number, scope: Scope | "administrator"): Promise<Membership>;
  /** @throws ProblemError `mfa_required` */
  assertFreshCode(identity: Identity): void;
}

/** What routes are built from. */
export interface RouteDeps extends BackendDeps {
  readonly guard: Guard;
}

/**
 * Registers an operation of the contract: who may call and what may come is checked from its description before the
 * handler sees it.
 */
export function register<Id extends OperationId>(
  app: FastifyInstance,
  { guard }: Pick<RouteDeps, "guard">,
  id: Id,
  handler: Handler<Id>,
): void {
  const operation: Operation = operations[id];
  app.route({
    method: operation.method,
    url: (operation.atRoot ? "" : BASE_PATH) + operation.path.replace(/\{(\w+)\}/g, ":$1"),
    bodyLimit: operation.maxBodyBytes ?? MAX_BODY_BYTES,
    // To read a long body takes time from everybody else, so it is read for nobody who is not let in.
    ...(operation.maxBodyBytes && {
      onRequest: async (request: FastifyRequest) => {
        await admit(guard, operation, request);
      },
    }),
    handler: async (request, reply) => {
      assertMediaType(operation, request);
      const admission = await admit(guard, operation, request);
      const query = operation.query && validated(operation.query.strict(), request.query);
      const body = operation.body && validated(operation.body, request.body ?? null);
      // Last of all: nobody is asked for a code over a request that is refused anyway.
      if (operation.freshCode && admission.identity) guard.assertFreshCode(admission.identity);
      const call = { ...admission, query, body, request } as Call<Id>;
      const answer = await handler(call);
      reply.code(answer.status).headers(answer.headers ?? {});
      return reply.send(answer.body ?? null);
    },
  });
}

/** Who calls, and for which organization. */
async function admit(guard: Guard, operation: Operation, request: FastifyRequest) {
  const identity = operation.access === "public" ? null : await guard.authenticate(request.headers.authorization);
  const params = operation.params && validated(operation.params, request.params);
  return { params, identity, organization: identity && (await organizationOf(guard, operation, identity, params)) };
}

/** Only `/oauth` takes forms (details.md, 16), which a browser would send from any page without asking. */
function assertMediaType(operation: Operation, request: FastifyRequest): void {
  const isForm = request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded") ?? false;
  if (isForm !== (operation.bodyType === "form") && request.body !== undefined) {
    throw new ProblemError("invalid_request", `This call takes ${operation.bodyType === "form" ? "a form" : "JSON"}`);
  }
}

async function organizationOf(
  guard: Guard,
  operation: Operation,
  identity: Identity,
  params: Record<string, unknown> | undefined,
): Promise<Membership | null> {
  if (operation.access === "public" || operation.access === "signed_in") return null;
  return guard.authorize(identity, params?.organizationId as number, operation.access);
}

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

/** Who is calling: a person's session, or an API token, which belongs to one organization. */
export interface Identity {
  readonly user: UserRow;
  readonly token: ApiTokenRow | null;
  /** The person's session, `null` for an API token; `mfaAt` is when they last gave a one-time code, machine milliseconds. */
  readonly session: { readonly id: string; readonly mfaAt: number | null } | null;
  readonly scopes: readonly string[];
  /** When the token ends, machine milliseconds; `null` for never. */
  readonly expiresAt: number | null;
  readonly last4: string;
}

/** An organization as its member sees it. */
export interface Membership {
  readonly id: number;
  readonly name: string;
  readonly role: number;
}
