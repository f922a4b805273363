import type { FastifyError, FastifyRequest } from "fastify";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../problem.ts";

/** What a failure of any kind is to the caller. One that is the backend's own is told to the operator's log. */
export function problemOf(deps: Pick<BackendDeps, "log">, error: Error, request: FastifyRequest): ProblemError {
  const problem = error instanceof ProblemError ? error : fromFramework(error as FastifyError);
  if (problem.status >= 500) {
    deps.log(`${request.id} ${request.method} ${request.routeOptions.url}: ${error.stack ?? error}`);
  }
  return problem;
}

function fromFramework(error: FastifyError): ProblemError {
  const status = error.statusCode ?? 500;
  if (status >= 400 && status < 500)
    return new ProblemError("invalid_request", `The request is not valid: ${error.message}`);
  return new ProblemError("internal", "The backend failed; its log has this request's id");
}
