import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Duplex } from "node:stream";
import type { FastifyInstance } from "fastify";
import type { BackendDeps } from "../deps.ts";
import { BackendError, startError } from "../errors.ts";
import { newRequestId, problemHeaders, problemText } from "./failure.ts";

type ServerDeps = Pick<BackendDeps, "now" | "random">;

/** How long a refused connection stays open so that its sender can read the refusal, milliseconds. */
const LINGER_MS = 1_000;

/** A certificate with its chain, and its private key; PEM. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/**
 * Creates an HTTP server that does not listen yet. Input that is not HTTP, and so never becomes a request, is answered
 * with a problem document before the connection is closed.
 *
 * @param tls `null` for plain HTTP
 */
export function createHttpServer(deps: ServerDeps, tls: TlsFiles | null = null): Server {
  const options = {
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // A missing Host is refused like an invalid one, with a problem document.
    requireHostHeader: false,
  };
  const server: Server = tls === null ? createServer(options) : createTlsServer({ ...options, ...tls });
  const unanswered = new WeakMap<Duplex, Set<ServerResponse>>();
  server.on("request", ({ socket }, response) => {
    const responses = unanswered.get(socket) ?? new Set();
    unanswered.set(socket, responses.add(response));
    response.once("close", () => responses.delete(response));
  });
  const refused = new WeakSet<Duplex>();
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // The parser reports errors for as long as bytes arrive.
    if (refused.has(socket)) return;
    refused.add(socket);
    if (isAnswerable(error, socket, unanswered.get(socket))) refuse(deps, socket, problemOfParser(error));
    else socket.destroy();
  });
  server.on("connect", (_request, socket) => {
    refuse(deps, socket, { status: 400, detail: "This server is not a proxy" });
  });
  // Node handles 100-continue, the only expectation there is; others may be ignored (RFC 9110, section 10.1.1).
  server.on("checkExpectation", (request, response) => server.emit("request", request, response));
  return server;
}

/**
 * Reports whether a client would take a refusal as the answer to the bytes it is about: earlier requests are answered,
 * and no answer to the broken one has begun.
 */
function isAnswerable(error: NodeJS.ErrnoException, socket: Duplex, unanswered = new Set<ServerResponse>()): boolean {
  if (!socket.writable || error.code === "ECONNRESET" || unanswered.size > 1) return false;
  return [...unanswered].every((response) => !response.headersSent && !response.req.complete);
}

interface Refusal {
  readonly status: number;
  readonly detail: string;
}

function problemOfParser({ code, reason }: NodeJS.ErrnoException & { reason?: unknown }): Refusal {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return { status: 431, detail: "The request's headers are too large" };
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return { status: 408, detail: "The request timed out" };
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return { status: 413, detail: "The request's chunk extensions are too large" };
    default:
      return { status: 400, detail: `Invalid HTTP request${typeof reason === "string" ? `: ${reason}` : ""}` };
  }
}

/** Writes an answer to a connection without a request, and closes the connection once it has been read. */
function refuse(deps: ServerDeps, socket: Duplex, { status, detail }: Refusal): void {
  const requestId = newRequestId(deps);
  const body = problemText(new BackendError("invalid_request", detail), requestId, status);
  const headers = Object.entries({
    ...problemHeaders(requestId),
    "Content-Length": String(Buffer.byteLength(body)),
    Date: new Date(deps.now()).toUTCString(),
    Connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on("error", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${headers.join("")}\r\n${body}`);
  // Closing at once with unread input would reset the connection and lose the answer (RFC 9112, section 9.6).
  const linger = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(linger));
  socket.resume();
}

/** Returns a function that reports whether the backend is closing, so that waiting requests are answered at once. */
export function closingOf(app: FastifyInstance): () => boolean {
  let closing = false;
  app.addHook("preClose", async () => {
    closing = true;
  });
  return () => closing;
}

/** How long a request may take to arrive, milliseconds. */
const REQUEST_TIMEOUT_MS = 30_000;

/** How long an idle connection stays open, milliseconds. */
const KEEP_ALIVE_MS = 72_000;

/** `host [":" port]` (RFC 9110, section 7.2): a name, an IPv4 address or a bracketed IPv6 one, and no user information. */
const AUTHORITY = /^(?<name>[\w.-]+|\[[\da-f:.]+\])(?::(?<port>\d{1,5}))?$/i;

const LOOPBACK = /^(localhost|127(\.(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}|\[::1\])$/i;

const MAX_PORT = 65_535;

/**
 * Converts a request target from absolute-form to origin-form; its authority replaces the Host header (RFC 9112, section
 * 3.2.2). Any other target is returned unchanged.
 *
 * @returns the target for routing
 */
export function toOriginForm(request: IncomingMessage): string {
  const target = request.url ?? "";
  const [absolute, authority] = /^http:\/\/([^/?#]*)/i.exec(target) ?? [];
  if (absolute === undefined) return target;
  request.headers.host = authority;
  const rest = target.slice(absolute.length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/**
 * Refuses a request without exactly one valid Host (RFC 9112, section 3.2), or whose target is not a path. Must run before
 * anything reads the Host, such as the address of a payment page.
 *
 * @throws BackendError `invalid_request`
 */
export function assertAuthority(request: IncomingMessage): void {
  const hosts = request.rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === "host");
  if (hosts.length > 1) throw new BackendError("invalid_request", "The request has more than one Host header");
  if (!isAuthority(request.headers.host ?? "")) {
    throw new BackendError("invalid_request", "The Host header is missing or invalid");
  }
  if (!request.url?.startsWith("/")) throw new BackendError("invalid_request", "The request target is not a path");
}

function isAuthority(text: string): boolean {
  const { port } = AUTHORITY.exec(text)?.groups ?? { port: "none" };
  return port === undefined || (Number(port) > 0 && Number(port) <= MAX_PORT);
}

/** Reports whether a valid Host is loopback: `localhost`, an address in 127.0.0.0/8, or `[::1]`, with any port. */
export function isLoopbackAuthority(text: string): boolean {
  return LOOPBACK.test(AUTHORITY.exec(text)?.groups?.name ?? "");
}

/** Where a server was to listen, and the flag of its port. */
interface ListenAddress {
  readonly host: string;
  readonly port: number;
  readonly flag?: string;
}

/** What a system answers for a host that is unknown, or not an address of this machine. */
const OTHER_HOST = /^(ENOTFOUND|EAI_AGAIN|EAI_FAIL|EADDRNOTAVAIL|EAFNOSUPPORT|EINVAL)$/;

/** Translates the error of a server that cannot listen. Any other error stays as it is. */
export function listenFailure(cause: unknown, { host, port, flag = "--port" }: ListenAddress): unknown {
  const { code = "" } = cause as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") {
    const hint = `Stop the program that uses it, or pass another port with ${flag} <n> (0 picks a free one).`;
    return startError("port_in_use", `Port ${port} is in use`, hint, { cause });
  }
  if (code === "EACCES") {
    const hint = "Pass a port above 1023, or allow the program to listen on privileged ports.";
    return startError("settings_invalid", `${flag} ${port}: permission denied`, hint, { cause });
  }
  if (!OTHER_HOST.test(code)) return cause;
  const hint = "Pass 127.0.0.1, 0.0.0.0 for all addresses, or another address of this machine.";
  return startError("settings_invalid", `--host ${host} is not an address of this machine`, hint, { cause });
}
