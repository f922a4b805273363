import { createServer, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../problem.ts";
import { newRequestId, problemHeaders, problemText } from "./failure.ts";
import { KEEP_ALIVE_MS, REQUEST_TIMEOUT_MS } from "./limits.ts";

type ServerDeps = Pick<BackendDeps, "now" | "random">;

/** How long a connection stays open for the reading of a refusal while its sender still sends, milliseconds. */
const LINGER_MS = 1_000;

/**
 * Creates an HTTP server that does not listen yet. What it cannot read as HTTP, and so never becomes a request, is
 * answered with a problem document, and the connection closes.
 */
export function createHttpServer(deps: ServerDeps): Server {
  const server = createServer({
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // A missing Host is refused like one that is not valid, with a problem document.
    requireHostHeader: false,
  });
  const unanswered = new WeakMap<Duplex, Set<ServerResponse>>();
  server.on("request", ({ socket }, response) => {
    const responses = unanswered.get(socket) ?? new Set();
    unanswered.set(socket, responses.add(response));
    response.once("close", () => responses.delete(response));
  });
  const refused = new WeakSet<Duplex>();
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // The parser goes on to complain about what still arrives.
    if (refused.has(socket)) return;
    refused.add(socket);
    if (isAnswerable(error, socket, unanswered.get(socket))) refuse(deps, socket, problemOfParser(error));
    else socket.destroy();
  });
  server.on("connect", (_request, socket) => {
    refuse(deps, socket, { status: 400, detail: "This server is not a proxy" });
  });
  // The only expectation that there is, 100-continue, is met before this; others may be ignored (RFC 9110, 10.1.1).
  server.on("checkExpectation", (request, response) => server.emit("request", request, response));
  return server;
}

/**
 * Whether a refusal would be read as the answer to the bytes that it is about: earlier requests are answered, and
 * nothing of an answer to the broken one is on its way.
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
      return { status: 408, detail: "The request did not arrive in time" };
    case "HPE_CHUNK_EXTENSIONS_OVERFLOW":
      return { status: 413, detail: "The request's chunk extensions are too large" };
    default:
      return { status: 400, detail: `The request is not valid HTTP${typeof reason === "string" ? `: ${reason}` : ""}` };
  }
}

/** Writes a whole answer to a connection that has no request to answer, and closes it once that is read. */
function refuse(deps: ServerDeps, socket: Duplex, { status, detail }: Refusal): void {
  const requestId = newRequestId(deps);
  const body = problemText(new ProblemError("invalid_request", detail), requestId, status);
  const headers = Object.entries({
    ...problemHeaders(requestId),
    "Content-Length": String(Buffer.byteLength(body)),
    Date: new Date(deps.now()).toUTCString(),
    Connection: "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on("error", () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${headers.join("")}\r\n${body}`);
  // Closed at once, what is still unread would reset the connection and the answer with it (RFC 9112, section 9.6).
  const linger = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(linger));
  socket.resume();
}
