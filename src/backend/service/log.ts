import { isIPv6 } from "node:net";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { operationOf } from "../http/register.ts";

/** The levels of `--log-level`, most severe first; each includes those before it. */
export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;

/** The severity of an entry. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** An entry of the log. Texts are redacted, and nothing but these fields is written. */
export interface LogEntry {
  readonly level: LogLevel;
  readonly msg: string;
  readonly requestId?: string | undefined;
  /** Stripe's ID of a request to it. */
  readonly stripeRequestId?: string | undefined;
  readonly purchaseId?: string | undefined;
  readonly organizationId?: number | undefined;
  readonly operation?: string | undefined;
  readonly status?: number | undefined;
  readonly ms?: number | undefined;
  /** The code of an error: a problem code, a SQLSTATE, or one of Node.js. */
  readonly code?: string | undefined;
  /** The frames of an error, without its message. */
  readonly stack?: string | undefined;
}

/** Writes an entry, if its level is written. */
export type Log = (entry: LogEntry) => void;

/** Where a log goes. */
export interface LogOptions {
  readonly level: LogLevel;
  /** Names this process among those that share a log. */
  readonly instance: string;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Writes a line, which ends with a newline. */
  write(line: string): void;
}

/** The longest message. */
const MAX_MESSAGE = 1_000;

/** Creates a log of JSON lines. */
export function createLog({ level, instance, now, write }: LogOptions): Log {
  const written = LOG_LEVELS.slice(0, LOG_LEVELS.indexOf(level) + 1);
  return (entry) => {
    if (!written.includes(entry.level)) return;
    const { msg, requestId, stripeRequestId, purchaseId, organizationId, operation, status, ms, code, stack } = entry;
    const fields = {
      time: new Date(now()).toISOString(),
      level: entry.level,
      msg: redact(msg).slice(0, MAX_MESSAGE),
      instance,
      ...{ requestId, stripeRequestId, purchaseId, organizationId, operation, status, ms, code },
      stack: stack && redactFrames(stack),
    };
    write(`${JSON.stringify(fields)}\n`);
  };
}

/**
 * Returns the `log` of the backend's dependencies. Of an error only its name, its code and its frames are written, because
 * its message may contain anything.
 */
export function lineLog(log: Log): (line: string, error?: unknown) => void {
  return (line, error) => {
    const organizationId = /\borganization (\d{1,15})\b/.exec(line)?.[1];
    log({
      level: error === undefined ? "warn" : "error",
      msg: line,
      requestId: /\breq_[\da-f]+\b/.exec(line)?.[0],
      purchaseId: /\bpur_[\w-]+/.exec(line)?.[0],
      ...(organizationId !== undefined && { organizationId: Number(organizationId) }),
      ...(error !== undefined && describe(error)),
    });
  };
}

/**
 * Logs each request once its answer is out: at `info`, and at `debug` if it asked for health or readiness.
 *
 * @param monotonic a clock that never goes back, milliseconds
 */
export function logRequests(app: FastifyInstance, log: Log, monotonic: () => number): void {
  const codes = new WeakMap<FastifyRequest, string>();
  app.addHook("onError", async (request, _reply, error) => {
    const { code } = describe(error);
    if (code !== undefined) codes.set(request, code);
  });
  app.addHook("onRequest", async (request, reply) => {
    const operation = operationOf(request);
    const began = monotonic();
    reply.raw.once("close", () => {
      const isAnswered = reply.raw.writableEnded;
      log({
        level: operation === "health" || operation === "ready" ? "debug" : "info",
        msg: isAnswered ? "request" : "request aborted by the client",
        requestId: request.id,
        ...idsOf(request),
        operation,
        ...(isAnswered && { status: reply.statusCode }),
        ms: Math.round(monotonic() - began),
        code: codes.get(request),
      });
    });
  });
}

/** The IDs in a path, unless they are something else that a caller put there. */
function idsOf({ params }: FastifyRequest): Pick<LogEntry, "purchaseId" | "organizationId"> {
  const { purchaseId = "", organizationId = "" } = (params ?? {}) as Record<string, string | undefined>;
  return {
    ...(/^pur_[\w-]{1,64}$/.test(purchaseId) && { purchaseId }),
    ...(/^\d{1,15}$/.test(organizationId) && { organizationId: Number(organizationId) }),
  };
}

function describe(error: unknown): Pick<LogEntry, "code" | "stack" | "stripeRequestId"> {
  if (!(error instanceof Error)) return {};
  const { code } = error as NodeJS.ErrnoException;
  const { requestId } = (error.cause ?? {}) as { requestId?: unknown };
  const { name, message, stack = "" } = error;
  const at = stack.indexOf(message);
  const frames = at < 0 ? stack : stack.slice(at + message.length);
  return {
    ...(typeof code === "string" && /^\w{1,40}$/.test(code) && { code }),
    ...(typeof requestId === "string" && /^req_\w{1,64}$/.test(requestId) && { stripeRequestId: requestId }),
    stack: [/^[\w$]{1,40}$/.test(name) ? name : "Error", ...frames.split("\n").filter(isFrame)].join("\n"),
  };
}

/** Reports whether a line of a stack says where, and is not a line of the message. */
function isFrame(line: string): boolean {
  return /^ {4}at (.*:\d+:\d+\)?|.*<anonymous>\)?|.*native\)?|.*index \d+\))$/.test(line);
}

/** What never appears in a log: addresses with credentials, tokens, emails, and the addresses of clients. */
const SECRETS: readonly (readonly [RegExp, string])[] = [
  [/\b[a-z][a-z+.-]*:\/\/[^\s/@]*@[^\s"')]*/gi, "[address]"],
  [/\b(bearer|basic) +[^\s"',;]+/gi, "$1 [token]"],
  [/\b(sfl|sk|rk|whsec)_\w[\w-]*/g, "[token]"],
  [/[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]+@[\p{L}\p{N}-]+(\.[\p{L}\p{N}-]+)+/gu, "[email]"],
  [/\b\d{1,3}(\.\d{1,3}){3}\b/g, "[address]"],
];

/** Long texts of letters and digits, such as tokens, signatures and hashes. */
const OPAQUE = /(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[a-z])[\w-]{20,}/gi;

/** The IDs that may appear. */
const ID = /^(req|pur|quo|pay|evt|pi|ch|re|cs)_/;

const IPV6 = /(?<![\w:.])[\da-f]*:[\da-f:.]*:[\da-f:.]*[\da-f:]/gi;

function redactFrames(text: string): string {
  return SECRETS.reduce((left, [pattern, stand]) => left.replace(pattern, stand), text);
}

function redact(text: string): string {
  return redactFrames(text)
    .replace(IPV6, (found) => (isIPv6(found.replace(/(?<!:):$/, "")) ? "[address]" : found))
    .replace(OPAQUE, (found) => (ID.test(found) ? found : "[redacted]"));
}
