import type { FastifyError, FastifyRequest } from "fastify";
import { PROBLEM_MEDIA_TYPE } from "../../contract/problemCodes.ts";
import { isStorageFailure } from "../database/storageFailure.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";

/** Creates a request id, which answers and the operator's log share. */
export function newRequestId({ random }: Pick<BackendDeps, "random">): string {
  return `req_${random(9).toString("hex")}`;
}

/** Returns the headers of every answer. */
export function commonHeaders(requestId: string) {
  return { "X-Request-Id": requestId, "Cache-Control": "no-store" };
}

/** Returns the headers of a problem document. */
export function problemHeaders(requestId: string) {
  return { ...commonHeaders(requestId), "Content-Type": PROBLEM_MEDIA_TYPE };
}

/**
 * Serializes a problem as JSON (RFC 9457).
 *
 * @param status the HTTP status, if it is more specific than the problem's
 */
export function problemText(problem: BackendError, requestId: string, status = problem.status): string {
  return JSON.stringify({
    type: "about:blank",
    title: problem.code.replaceAll("_", " "),
    status,
    code: problem.code,
    detail: problem.message,
    requestId,
    ...problem.extra,
  });
}

/** Converts an error to the problem that the caller sees, and logs it if the fault is the backend's. */
export function problemOf(deps: Pick<BackendDeps, "log">, error: Error, request: FastifyRequest): BackendError {
  const problem = error instanceof BackendError ? error : fromFramework(error as FastifyError);
  const isOurFault = problem.status >= 500 && !(error instanceof BackendError);
  if (isOurFault) deps.log(`${request.id} ${request.method} ${request.routeOptions.url}`, error);
  return problem;
}

function fromFramework(error: FastifyError): BackendError {
  const status = error.statusCode ?? 500;
  if (status >= 400 && status < 500)
    return new BackendError("invalid_request", `The request is not valid: ${error.message}`);
  if (isStorageFailure(error)) {
    const message = "The backend cannot write its data, for example because its disk is full; try again later";
    return new BackendError("unavailable", message, {}, { "Retry-After": "5" });
  }
  return new BackendError("internal", "Internal error; the backend logged it under this request ID");
}
