import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { BackendDeps } from "../deps.ts";
import type { ProblemError } from "../errors.ts";
import { assertOwnForm } from "../http/body.ts";
import { problemOf } from "../http/failure.ts";
import type { PaymentAccount } from "../payments/gateway.ts";
import { type Page, Problem, sendPage } from "./page.tsx";

/** Makes the page that a request is answered with. */
type PageMaker = (request: FastifyRequest, reply: FastifyReply) => Promise<Page>;

/** The two sides of a page. */
export interface PageHandlers {
  /** `GET`; changes nothing. */
  readonly show: PageMaker;
  /** `POST` of the page's own form; left out by a page that has none. */
  readonly take?: PageMaker;
}

/**
 * Adds a page at the root. Forms of other sites are refused before `take` sees them; whatever goes wrong, also before
 * the page is reached, is told on a page.
 *
 * @param url fastify's pattern, `/device`
 */
export function registerPage(app: FastifyInstance, deps: BackendDeps, url: string, { show, take }: PageHandlers): void {
  const banner = bannerOf(deps.gateway.account);
  const errorHandler = (error: Error, request: FastifyRequest, reply: FastifyReply) => {
    const problem = problemOf(deps, error, request);
    return sendPage(reply.headers(problem.headers), problemPage(problem, request.id), banner);
  };
  app.route({
    method: "GET",
    url,
    exposeHeadRoute: true,
    errorHandler,
    handler: async (request, reply) => sendPage(reply, await show(request, reply), banner),
  });
  if (!take) return;
  app.route({
    method: "POST",
    url,
    errorHandler,
    handler: async (request, reply) => {
      assertOwnForm(deps, request);
      return sendPage(reply, await take(request, reply), banner);
    },
  });
}

/** Returns what every page says first where no money moves: also one that only asks for a password. */
function bannerOf({ mode }: PaymentAccount): string | null {
  return mode === "live" ? null : `${mode.toUpperCase()}: no money moves`;
}

function problemPage(problem: ProblemError, requestId: string): Page {
  return {
    status: problem.status,
    title: problem.status === 404 ? "There is no such page" : "That did not work",
    body: (
      <>
        <Problem>{problem.message}.</Problem>
        <p class="hint">Request {requestId}</p>
      </>
    ),
  };
}
