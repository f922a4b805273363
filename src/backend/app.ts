import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { BASE_PATH } from "../contract/constants.ts";
import { openapiDocument } from "../contract/openapi.ts";
import { MAX_BODY_BYTES } from "../contract/operations/operation.ts";
import { registerPolicy } from "./control/routes.ts";
import type { BackendDeps } from "./deps.ts";
import { BackendError } from "./errors.ts";
import { registerEvents } from "./events/routes.ts";
import { parseStrictJson } from "./http/body.ts";
import { commonHeaders, newRequestId, problemHeaders, problemOf, problemText } from "./http/failure.ts";
import { type RouteDeps, register } from "./http/register.ts";
import { assertAuthority, createHttpServer, type TlsFiles, toOriginForm } from "./http/server.ts";
import { createGuard } from "./identity/access.ts";
import { registerIdentity } from "./identity/routes.ts";
import { OauthError, oauthErrorBody, type SignInDeps } from "./identity/signIn.ts";
import { registerTokens } from "./identity/tokens.ts";
import { registerTrusts } from "./identity/trusts.ts";
import { registerDevicePage } from "./pages/devicePage.ts";
import { registerMethodPage } from "./pages/methodPage.tsx";
import { registerPaymentPage } from "./pages/paymentPage.ts";
import { registerPaymentMethod } from "./paymentMethod/routes.ts";
import { registerDecisions } from "./purchases/decision.ts";
import { registerPayments, registerPurchases } from "./purchases/routes.ts";
import { registerBilling } from "./quotes/routes.ts";
import { registerBillingDetails } from "./receipts/billingDetails.ts";
import { registerReports } from "./reports/routes.ts";
import { makeUserChange } from "./users/administrators.ts";
import { registerUsers } from "./users/routes.ts";

/** An idempotency key of 255 characters, each of them percent-encoded. */
const MAX_PARAMETER_LENGTH = 255 * 3;

/** Routes validate with the contract's schemas, so the framework's own compilers, which load slowly, are not needed. */
const NO_COMPILERS = { buildValidator: refuseSchema, buildSerializer: refuseSchema };

/** What compositions of the backend differ in. */
export interface AppOptions {
  readonly signIn: Pick<SignInDeps, "passwords" | "passwordHashOf">;
  /** The proxies, as addresses or ranges, whose `X-Forwarded-For` counts. */
  readonly trustProxy?: readonly string[];
  readonly tls?: TlsFiles | null;
  /** Serves nothing but health, readiness and the OpenAPI document. */
  readonly isApiOff?: boolean;
  /** Whether requests can be served; without it, whether the store answers. */
  isReady?(): Promise<boolean>;
  /** Adds hooks that see every request, also one that is refused. */
  addHooks?(app: FastifyInstance): void;
  /** Adds the composition's own routes, such as the sandbox's. */
  extend?(app: FastifyInstance, deps: RouteDeps): void;
}

/** Builds the backend without listening. */
export function buildApp(deps: BackendDeps, options: AppOptions): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    exposeHeadRoutes: false,
    // What arrives on an open connection while the backend closes is still answered.
    return503OnClosing: false,
    ...(options.trustProxy && { trustProxy: [...options.trustProxy] }),
    serverFactory: (listener) => createHttpServer(deps, options.tls).on("request", listener),
    // `createHttpServer` answers them.
    clientErrorHandler: () => {},
    rewriteUrl: toOriginForm,
    frameworkErrors: (error, request, reply) => sendError(deps, error, request, reply),
    routerOptions: { maxParamLength: MAX_PARAMETER_LENGTH },
    schemaController: { compilersFactory: NO_COMPILERS },
    genReqId: () => newRequestId(deps),
  });
  readBodies(app);
  app.addHook("onRequest", async (request, reply) => {
    reply.headers(commonHeaders(request.id));
  });
  options.addHooks?.(app);
  app.addHook("onRequest", async (request) => {
    assertAuthority(request.raw);
  });
  app.setErrorHandler((error, request, reply) => sendError(deps, error as Error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    sendError(deps, new BackendError("not_found", "There is no such call here"), request, reply),
  );
  const routes = { ...deps, guard: createGuard(deps) };
  if (!options.isApiOff) registerApi(app, routes, options);
  registerOperations(app, routes, options.isReady ?? (() => doesStoreAnswer(deps)));
  options.extend?.(app, routes);
  return app;
}

function registerApi(app: FastifyInstance, routes: RouteDeps, { signIn }: Pick<AppOptions, "signIn">): void {
  registerIdentity(app, routes, { ...routes, ...signIn });
  registerTokens(app, routes);
  registerTrusts(app, routes);
  registerBilling(app, routes);
  registerPurchases(app, routes);
  registerPayments(app, routes);
  registerDecisions(app, routes);
  registerPaymentPage(app, routes);
  registerPaymentMethod(app, routes);
  registerMethodPage(app, routes);
  registerEvents(app, routes);
  registerReports(app, routes);
  registerBillingDetails(app, routes);
  registerUsers(app, routes);
  registerPolicy(app, routes, makeUserChange);
  registerDevicePage(app, { ...routes, ...signIn });
}

function refuseSchema(): never {
  throw new TypeError("Routes have no schemas of the framework's");
}

function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (_request, text, done) => {
    try {
      done(null, text === "" ? null : parseStrictJson(String(text)));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      done(
        new BackendError("invalid_request", `The request body: ${reason}`, { errors: [{ path: "", message: reason }] }),
      );
    }
  });
  app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, text, done) => {
    const fields = [...new URLSearchParams(String(text))];
    const seen = new Set<string>();
    const twice = fields.find(([name]) => seen.size === seen.add(name).size);
    if (twice) done(new BackendError("invalid_request", `The field ${twice[0]} is there twice`));
    else done(null, Object.fromEntries(fields));
  });
}

function sendError(deps: BackendDeps, error: Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof OauthError) return reply.code(400).send(oauthErrorBody(error, request.body));
  const problem = problemOf(deps, error, request);
  reply.code(problem.status).headers({ "X-Request-Id": request.id, ...problem.headers });
  if (request.url.startsWith(`${BASE_PATH}/oauth/`))
    return reply.code(isTransient(problem) ? problem.status : 400).send(oauthErrorBody(problem, request.body));
  return reply.headers(problemHeaders(request.id)).send(problemText(problem, request.id));
}

/** Reports whether to try again later, which clients of `/oauth` learn from the status. */
function isTransient({ code, status }: BackendError): boolean {
  return status >= 500 || code === "rate_limited";
}

/** Registers health, readiness and the OpenAPI document. */
function registerOperations(app: FastifyInstance, deps: RouteDeps, isReady: () => Promise<boolean>): void {
  register(app, deps, "health", async () => ({ status: 200, body: { status: "ok" } }));

  register(app, deps, "ready", async () => {
    if (!(await isReady())) throw new BackendError("unavailable", "Not ready", {}, { "Retry-After": "5" });
    return { status: 200, body: { status: "ready" } };
  });

  const { mode } = deps.gateway.account;
  register(app, deps, "openapi", async () => ({ status: 200, body: openapiDocument(deps.version, mode) }));
}

async function doesStoreAnswer({ database, log }: BackendDeps): Promise<boolean> {
  try {
    await database.selectFrom("settings").select("name").limit(1).execute();
    return true;
  } catch (error) {
    log("not ready", error);
    return false;
  }
}
