import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { BackendDeps } from "../deps.ts";
import type { BackendError } from "../errors.ts";
import { assertOwnForm } from "../http/body.ts";
import { problemOf } from "../http/failure.ts";
import { bannerOf } from "../receipts/content.ts";
import { type Page, Problem, sendPage } from "./page.tsx";

/** Creates the page that answers a request. */
type PageMaker = (request: FastifyRequest, reply: FastifyReply) => Promise<Page>;

/** The handlers of a page. */
export interface PageHandlers {
  /** Handles `GET`; must not change anything. */
  readonly show: PageMaker;
  /** Handles `POST` of the page's own form; omitted by a page without a form. */
  readonly submit?: PageMaker;
}

/**
 * Registers a page at the root. Forms from other sites are refused before `submit` is called. Every failure is shown on a
 * page.
 *
 * @param url a Fastify route pattern, such as `/device`
 */
export function registerPage(
  app: FastifyInstance,
  deps: BackendDeps,
  url: string,
  { show, submit }: PageHandlers,
): void {
  const banner = bannerOf(deps.gateway.account.mode);
  const config = { operation: `page:${pageName(url)}` };
  const errorHandler = (error: Error, request: FastifyRequest, reply: FastifyReply) => {
    const problem = problemOf(deps, error, request);
    return sendPage(reply.headers(problem.headers), problemPage(problem, request.id), banner);
  };
  app.route({
    method: "GET",
    url,
    config,
    exposeHeadRoute: true,
    errorHandler,
    handler: async (request, reply) => sendPage(reply, await show(request, reply), banner),
  });
  if (!submit) return;
  app.route({
    method: "POST",
    url,
    config,
    errorHandler,
    handler: async (request, reply) => {
      assertOwnForm(deps, request);
      return sendPage(reply, await submit(request, reply), banner);
    },
  });
}

/** `/pay/:purchaseId/:signature/receipt` → `pay-receipt`. */
function pageName(url: string): string {
  return url
    .split("/")
    .filter((part) => part !== "" && !part.startsWith(":"))
    .join("-");
}

function problemPage(problem: BackendError, requestId: string): Page {
  return {
    status: problem.status,
    title: problem.status === 404 ? "Page not found" : "Something went wrong",
    body: (
      <>
        <Problem>{problem.message}.</Problem>
        <p class="hint">Request {requestId}</p>
      </>
    ),
  };
}
