import type { FastifyInstance, FastifyRequest } from "fastify";
import type { z } from "zod";
import { BASE_PATH, type Scope } from "../../contract/constants.ts";
import { type OperationId, operations } from "../../contract/operations/index.ts";
import { MAX_BODY_BYTES, type Operation } from "../../contract/operations/operation.ts";
import type { ApiTokenRow, OrganizationSubscription, UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";

type Operations = typeof operations;

type Output<Id extends OperationId, Part extends "params" | "query" | "body"> = Operations[Id] extends {
  [key in Part]: infer Schema extends z.ZodType;
}
  ? z.output<Schema>
  : undefined;

/** A request after authorization and validation. */
interface Call<Id extends OperationId> {
  readonly params: Output<Id, "params">;
  readonly query: Output<Id, "query">;
  readonly body: Output<Id, "body">;
  readonly request: FastifyRequest;
  /** The caller; `null` only for public operations. */
  readonly identity: Operations[Id]["access"] extends "public" ? null : Identity;
  /** The organization in the path, with the caller's role in it. */
  readonly organization: Operations[Id]["access"] extends Scope | "administrator" ? Membership : null;
}

/** An answer: a status that the operation lists, its body, and headers. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Handles one operation. Refusals are thrown as `BackendError`. */
export type Handler<Id extends OperationId> = (call: Call<Id>) => Promise<Answer>;

/** Authenticates and authorizes callers. */
export interface Guard {
  /** @throws BackendError `unauthenticated` */
  authenticate(authorization: string | undefined, organizationId: number | null): Promise<Caller>;
  /** @throws BackendError `not_found`, `forbidden`, `insufficient_scope` */
  authorize(caller: Caller, organizationId: number, scope: Scope | "administrator"): Membership;
  /**
   * @param isEnrolled whether the user must have one-time codes
   * @throws BackendError `mfa_required`, `mfa_not_enrolled`
   */
  assertFreshCode(identity: Identity, isEnrolled: boolean): void;
}

/** The dependencies of routes. */
export interface RouteDeps extends BackendDeps {
  readonly guard: Guard;
}

/**
 * Registers an operation of the contract. Access and input are checked against its description before the handler is
 * called.
 */
export function register<Id extends OperationId>(
  app: FastifyInstance,
  { guard }: Pick<RouteDeps, "guard">,
  id: Id,
  handler: Handler<Id>,
): void {
  const operation: Operation = operations[id];
  const querySchema = operation.query?.strict();
  app.route({
    method: operation.method,
    url: (operation.atRoot ? "" : BASE_PATH) + operation.path.replace(/\{(\w+)\}/g, ":$1"),
    bodyLimit: operation.maxBodyBytes ?? MAX_BODY_BYTES,
    config: { operation: id },
    // Parsing a long body delays every other request, so the caller is authorized first.
    ...(operation.maxBodyBytes && {
      onRequest: async (request: FastifyRequest) => {
        await admit(guard, operation, request);
      },
    }),
    handler: async (request, reply) => {
      assertMediaType(operation, request);
      const admission = await admit(guard, operation, request);
      const query = querySchema && validated(querySchema, request.query);
      const body = operation.body && validated(operation.body, request.body ?? null);
      // Last, so that nobody is asked for a code over a request that would be refused anyway.
      if (operation.freshCode && admission.identity) {
        guard.assertFreshCode(admission.identity, operation.freshCode === "enrolled");
      }
      const call = { ...admission, query, body, request } as Call<Id>;
      const answer = await handler(call);
      reply.code(answer.status).headers(answer.headers ?? {});
      return reply.send(answer.body ?? null);
    },
  });
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** What metrics, logs and limits call the route: an operation of the contract, or `page:<name>`. */
    operation?: string;
  }
}

/** Returns what metrics, logs and limits call a request: its operation, `page:<name>`, or `none` without a route. */
export function operationOf({ routeOptions }: FastifyRequest): string {
  return routeOptions.config?.operation ?? "none";
}

/** Authenticates the caller and authorizes it for the organization in the path. */
async function admit(guard: Guard, operation: Operation, request: FastifyRequest) {
  const { access } = operation;
  if (access === "public") {
    return {
      params: operation.params && validated(operation.params, request.params),
      identity: null,
      organization: null,
    };
  }
  const params = operation.params?.safeParse(request.params);
  const organizationId = access === "signed_in" ? null : organizationIdOf(params?.data);
  // Whoever is not signed in learns nothing of what is wrong with a request.
  const caller = await guard.authenticate(request.headers.authorization, organizationId);
  return {
    params: params?.success ? params.data : operation.params && validated(operation.params, request.params),
    identity: caller.identity,
    organization:
      access === "signed_in" || organizationId === null ? null : guard.authorize(caller, organizationId, access),
  };
}

/** Only `/oauth` accepts forms: any website can make a browser send one. */
function assertMediaType(operation: Operation, request: FastifyRequest): void {
  const isForm = request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded") ?? false;
  if (isForm !== (operation.bodyType === "form") && request.body !== undefined) {
    throw new BackendError(
      "invalid_request",
      `This call requires ${operation.bodyType === "form" ? "a form" : "JSON"}`,
    );
  }
}

function organizationIdOf(params: unknown): number | null {
  return ((params ?? {}) as { organizationId?: number }).organizationId ?? null;
}

/** How many errors an answer lists: those of a long request would exceed what clients accept. */
const MAX_ERRORS = 50;

/**
 * Validates a value against a schema of the contract.
 *
 * @throws BackendError `invalid_request` with `errors: [{path, message}]`, at most `MAX_ERRORS`
 */
export function validated<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const all = result.error.issues.flatMap(describeIssue);
  const errors = all.slice(0, MAX_ERRORS);
  const summary = errors.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ");
  const more = all.length > errors.length ? `; and ${all.length - errors.length} more` : "";
  throw new BackendError("invalid_request", `The request is not valid: ${summary}${more}`, { errors });
}

/** Describes an issue by path and message; unknown fields are listed one by one. */
export function describeIssue(issue: z.core.$ZodIssue): { path: string; message: string }[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ path: pathText([...issue.path, key]), message: "unknown field" }));
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

const MAX_LIMIT = 100;

/**
 * Returns how many items a page of a list has: 20 by default, at most 100.
 *
 * @throws BackendError `invalid_request`
 */
export function pageLimit(asked: number | undefined): number {
  if (asked === undefined) return DEFAULT_LIMIT;
  if (asked >= 1 && asked <= MAX_LIMIT) return asked;
  const message = `must be between 1 and ${MAX_LIMIT}`;
  throw new BackendError("invalid_request", `The request is not valid: limit: ${message}`, {
    errors: [{ path: "limit", message }],
  });
}

/** A caller: a person's session, or an API token, which belongs to one organization. */
export interface Identity {
  readonly user: UserRow;
  readonly token: ApiTokenRow | null;
  /** `null` for an API token. `mfaAt` is when the person last gave a one-time code, machine milliseconds. */
  readonly session: { readonly id: string; readonly mfaAt: number | null } | null;
  readonly scopes: readonly string[];
  /** When the token expires, machine milliseconds; `null` for never. */
  readonly expiresAt: number | null;
  readonly last4: string;
}

/** A caller, with its access to the organization that was asked for; `null` without access. */
export interface Caller {
  readonly identity: Identity;
  readonly membership: Membership | null;
}

/** An organization, with the caller's role in it. */
export interface OrganizationRole {
  readonly id: number;
  readonly name: string;
  readonly role: number;
}

/** An organization that the caller may access, with its subscription as it was when the request arrived. */
export interface Membership extends OrganizationRole {
  readonly subscription: OrganizationSubscription;
}
