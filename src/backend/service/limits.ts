import { isIPv6 } from "node:net";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { BackendError } from "../errors.ts";
import { operationOf } from "../http/register.ts";
import { hashToken } from "../identity/secrets.ts";
import { type Buckets, createBuckets, type RateLimit } from "./buckets.ts";
import { type Load, type ShedClass, shedReason } from "./load.ts";
import type { Metrics } from "./metrics.ts";

/** The dependencies of the limits. */
export interface LimitDeps {
  /** The machine's clock, milliseconds. */
  now(): number;
  /** Callers that wait for a connection, and the mean delay of the event loop in milliseconds. */
  load(): Pick<Load, "waiting" | "loopDelay">;
  /** The size of the pool. */
  readonly connections: number;
  readonly metrics: Pick<Metrics, "shed">;
}

const LISTS = new Set([
  "listPurchases",
  "listEvents",
  "exportEvents",
  "listCheckpoints",
  "listUsers",
  "listTokens",
  "listTrusts",
]);

/**
 * Refuses requests before anything of theirs is accepted: with 503 while the instance is overloaded, with 429 those of a
 * caller who sends too many (src/backend/README.md, Limits). Health, readiness and webhooks are never refused.
 *
 * A caller is a token, or an address without one. An address also pays for tokens that turn out to be invalid, and has to
 * have something left for one that was not seen lately, so that made-up tokens are no way around the limit.
 */
export function limitRequests(app: FastifyInstance, limit: RateLimit, deps: LimitDeps): void {
  const buckets = createBuckets(limit, deps.now);
  let openRequests = 0;
  app.addHook("onRequest", async (request, reply) => {
    const shedClass = shedClassOf(request);
    if (shedClass === "never") return;
    openRequests += 1;
    reply.raw.once("close", () => {
      openRequests -= 1;
    });
    const reason = shedReason({ ...deps.load(), openRequests }, deps.connections, shedClass);
    if (reason !== null) {
      deps.metrics.shed.inc({ reason });
      throw new BackendError("unavailable", "Too busy; try again", {}, { "Retry-After": "1" });
    }
    assertRate(buckets, request);
  });
  app.addHook("onError", async (request, _reply, error) => {
    const caller = tokenCaller(request);
    if (caller === null || !isUnauthenticated(error)) return;
    buckets.drop(caller);
    buckets.take(addressCaller(request));
  });
}

function shedClassOf(request: FastifyRequest): ShedClass {
  const operation = operationOf(request);
  if (operation === "health" || operation === "ready" || operation.startsWith("webhook:")) return "never";
  if (operation === "getPurchaseByKey" || operation.startsWith("page:")) return "last";
  const { wait } = (request.query ?? {}) as { wait?: unknown };
  return LISTS.has(operation) || wait !== undefined ? "first" : "normal";
}

/** @throws BackendError `rate_limited` */
function assertRate(buckets: Buckets, request: FastifyRequest): void {
  const token = tokenCaller(request);
  const address = addressCaller(request);
  const isNew = token !== null && !buckets.has(token);
  const seconds = (isNew && buckets.wait(address)) || buckets.take(token ?? address);
  if (seconds === 0) return;
  const retryAfter = String(Math.ceil(seconds));
  throw new BackendError("rate_limited", "Too many requests; try again", {}, { "Retry-After": retryAfter });
}

/** The bucket of the request's token, whose hash is kept instead of the token itself. */
function tokenCaller({ headers }: FastifyRequest): string | null {
  const token = /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1];
  return token === undefined ? null : `token ${hashToken(token)}`;
}

/** The bucket of the client's address: of IPv6 the network of 64 bits, in which a client chooses freely. */
function addressCaller({ ip }: FastifyRequest): string {
  return `address ${isIPv6(ip) ? networkOf(ip) : ip}`;
}

/** `2001:db8::1` → `2001:db8:0:0`; an IPv4 address written as IPv6 → itself. */
function networkOf(address: string): string {
  const ipv4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (ipv4 !== undefined) return ipv4;
  const [head = "", tail] = (address.toLowerCase().split("%")[0] ?? "").split("::");
  const groups = head === "" ? [] : head.split(":");
  const after = tail ? tail.split(":").length + (tail.includes(".") ? 1 : 0) : 0;
  const zeros = tail === undefined ? [] : Array<string>(Math.max(0, 8 - groups.length - after)).fill("0");
  return [...groups, ...zeros, ...(tail?.split(":") ?? [])].slice(0, 4).join(":");
}

function isUnauthenticated(error: unknown): boolean {
  return error instanceof BackendError && error.code === "unauthenticated";
}
