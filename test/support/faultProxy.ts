import {
  createServer,
  type IncomingMessage,
  request as requestBackend,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * What happens to a request. "before": the backend never sees it. "after": the backend acts on it, and its answer is
 * lost or corrupted.
 */
export type Fault =
  | { readonly kind: "drop" | "reset" | "html"; readonly when: "before" | "after" }
  | { readonly kind: "cut" }
  | { readonly kind: "trickle" }
  | { readonly kind: "delay"; readonly when: "before" | "after"; readonly ms: number }
  | {
      readonly kind: "status";
      readonly when: "before" | "after";
      readonly status: number;
      readonly retryAfter?: string;
    }
  | { readonly kind: "rewrite"; readonly edit: (body: string) => string };

/** Which requests a fault applies to. */
export interface Rule {
  readonly method: string;
  readonly path: RegExp;
  /** Which of the matching requests, from 1; all by default. */
  readonly nth?: number;
  readonly fault: Fault;
}

/** A request to the proxy. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  /** The backend's status; `null` if it never received the request. */
  status: number | null;
}

interface BackendAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** A loopback proxy in front of a backend that records requests and injects faults. */
export class FaultProxy {
  readonly #server: Server;
  readonly #target: URL;
  #rules: { rule: Rule; met: number }[] = [];
  readonly requests: SeenRequest[] = [];

  private constructor(server: Server, target: URL) {
    this.#server = server;
    this.#target = target;
  }

  /** Starts a proxy in front of the backend at an API URL. */
  static async start(apiUrl: string): Promise<FaultProxy> {
    const server = createServer();
    const proxy = new FaultProxy(server, new URL(apiUrl));
    server.on("request", (request, response) => {
      // Clients disconnect on purpose in these tests.
      proxy.#handle(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** The value for `SECUREFLAG_API_URL`. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${this.#target.pathname}`;
  }

  /** Adds a rule, which applies to later requests. */
  inject(rule: Rule): void {
    this.#rules.push({ rule, met: 0 });
  }

  /** Removes the rules of a path, or all rules. */
  heal(path?: RegExp): void {
    this.#rules = path ? this.#rules.filter(({ rule }) => rule.path.source !== path.source) : [];
  }

  /** Lists the requests with a method and a matching path. */
  seen(method: string, path: RegExp): SeenRequest[] {
    return this.requests.filter((request) => request.method === method && path.test(request.path));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const seen: SeenRequest = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      body: body.toString(),
      status: null,
    };
    this.requests.push(seen);
    const fault = this.#faultFor(seen);
    if (fault && "when" in fault && fault.when === "before" && !(await spoil(fault, response))) return;
    const answer = await this.#forward(seen, body);
    seen.status = answer.status;
    if (fault && !("when" in fault && fault.when === "before")) await spoilAnswer(fault, answer, response);
    else send(answer, response);
  }

  #faultFor({ method, path }: SeenRequest): Fault | undefined {
    const matching = this.#rules.filter(({ rule }) => rule.method === method && rule.path.test(path));
    for (const entry of matching) entry.met += 1;
    return matching.find(({ rule, met }) => rule.nth === undefined || rule.nth === met)?.rule.fault;
  }

  #forward(seen: SeenRequest, body: Buffer): Promise<BackendAnswer> {
    const { hostname, port, host } = this.#target;
    const headers = { ...seen.headers, host, connection: "close" };
    return new Promise((resolve, reject) => {
      const outgoing = requestBackend({ hostname, port, method: seen.method, path: seen.path, headers }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }),
        );
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }
}

/** Breaks a connection, or answers in place of the backend. Returns whether the exchange continues normally. */
async function spoil(fault: Fault, response: ServerResponse): Promise<boolean> {
  if (fault.kind === "drop") response.socket?.destroy();
  else if (fault.kind === "reset") response.socket?.resetAndDestroy();
  else if (fault.kind === "html") {
    response
      .writeHead(200, { "content-type": "text/html" })
      .end("<!doctype html><title>Sign in to the network</title>");
  } else if (fault.kind === "status") {
    response
      .writeHead(fault.status, {
        "content-type": "text/plain",
        ...(fault.retryAfter !== undefined && { "retry-after": fault.retryAfter }),
      })
      .end("An intermediary says no");
  } else if (fault.kind === "delay") {
    await sleep(fault.ms);
    return true;
  }
  return false;
}

async function spoilAnswer(fault: Fault, answer: BackendAnswer, response: ServerResponse): Promise<void> {
  if (fault.kind === "cut") {
    response.writeHead(answer.status, headersOf(answer));
    response.write(answer.body.subarray(0, Math.floor(answer.body.length / 2)), () => response.socket?.destroy());
  } else if (fault.kind === "trickle") {
    response.writeHead(answer.status, headersOf(answer));
    for (const byte of answer.body) {
      if (response.destroyed) return;
      response.write(Buffer.of(byte));
      await sleep(1000, undefined, { ref: false });
    }
    response.end();
  } else if (fault.kind === "rewrite") {
    send({ ...answer, body: Buffer.from(fault.edit(answer.body.toString())) }, response);
  } else if (await spoil(fault, response)) {
    send(answer, response);
  }
}

function send(answer: BackendAnswer, response: ServerResponse): void {
  response.writeHead(answer.status, headersOf(answer)).end(answer.body);
}

/** The backend's headers with a `Content-Length` instead of chunks. */
function headersOf({ status, headers, body }: BackendAnswer): Record<string, string | string[] | number | undefined> {
  const { "transfer-encoding": _chunked, connection: _connection, ...kept } = headers;
  return { ...kept, ...(status !== 204 && { "content-length": body.length }) };
}
