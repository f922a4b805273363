import type { Dispatcher } from "undici";
import buildConnector from "undici/lib/core/connect.js";
import Agent from "undici/lib/dispatcher/agent.js";
import { type BackendAddress, type Environment, proxyFor } from "./address.ts";
import { ClientError, ProxyError } from "./errors.ts";
import type { ProxyConnector } from "./proxy.ts";
import { trustSystem } from "./systemCertificates.ts";

/** Answers above this many bytes are refused. */
const MAX_ANSWER_BYTES = 1_000_000;

const CONNECT_TIMEOUT_MS = 10_000;

/** A request on its way to one backend. */
export interface WireRequest {
  readonly method: Dispatcher.HttpMethod;
  /** Path and query, percent-encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** For everything: connecting, sending and reading the answer to its end; with a `sink`, between two pieces of it. */
  readonly timeoutMs: number;
  /** Takes the body of a success of its media type, which may be of any size. */
  readonly sink?: Sink | undefined;
  /** Called once the request has left this process, before its answer is read. */
  onSent(): void;
}

/** Takes a body piece by piece. */
export interface Sink {
  readonly mediaType: string;
  /** A body begins, also another time where the one before it did not end. */
  start(): void;
  write(chunk: Buffer): void;
}

/** An answer that arrived whole; the body is empty where the sink took it. Header names are lowercase. */
export interface WireAnswer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Buffer;
}

/** No whole answer. `sent`: whether any byte of the request may have arrived. */
export interface WireFailure {
  readonly kind: "failure";
  readonly reason: "connection" | "proxy" | "certificate" | "timeout" | "too_large" | "closed";
  readonly sent: boolean;
  readonly cause: unknown;
}

/** Sends requests to one backend. Never throws for what happens on the wire, never follows a redirect. */
export interface Transport {
  /** @throws ClientError `insecure_url` for what is not the URL of an HTTP proxy */
  send(request: WireRequest): Promise<WireAnswer | WireFailure>;
  /** Cuts every connection. */
  close(): Promise<void>;
}

/** Makes the transport to a backend, through the environment's proxy where there is one and the backend is elsewhere. */
export function createTransport(address: BackendAddress, env: Environment): Transport {
  let opened: Promise<Route> | null = null;
  const closing = new AbortController();
  return {
    async send(request) {
      opened ??= openRoute(address, env, closing.signal);
      const { dispatcher, proxy } = await opened;
      const result = await exchange(dispatcher, address.origin, request);
      if (result.kind === "answer") return result;
      if (closing.signal.aborted) return { ...result, reason: "closed" };
      const isUnconnected = result.reason === "timeout" && !result.sent;
      return proxy && isUnconnected ? { ...result, reason: "proxy", cause: proxy.timedOut() } : result;
    },
    async close() {
      closing.abort();
      const route = await opened?.catch(() => null);
      await route?.dispatcher.destroy();
    },
  };
}

/** The way to a backend. */
interface Route {
  readonly dispatcher: Dispatcher;
  /** The proxy on it; `null` for a direct connection. */
  readonly proxy: ProxyConnector | null;
}

async function openRoute(address: BackendAddress, env: Environment, signal: AbortSignal): Promise<Route> {
  // The request's own timer bounds everything, so that a long `--timeout` is not cut by undici's limits.
  const options = { headersTimeout: 0, bodyTimeout: 0 };
  const connect = trustSystem((tls) => buildConnector({ timeout: CONNECT_TIMEOUT_MS, ...tls }));
  const direct = { ...options, connect };
  const viaProxy = proxyFor(address, env);
  if (viaProxy === null) return { dispatcher: new Agent(direct), proxy: null };
  const [{ isExempt }, { proxyConnector }] = await Promise.all([import("./noProxy.ts"), import("./proxy.ts")]);
  if (isExempt(address.origin, viaProxy.noProxy)) return { dispatcher: new Agent(direct), proxy: null };
  const proxy = proxyConnector(viaProxy.proxy, { timeoutMs: CONNECT_TIMEOUT_MS, signal });
  return { dispatcher: new Agent({ ...options, connect: proxy.connect }), proxy };
}

function exchange(dispatcher: Dispatcher, origin: string, request: WireRequest): Promise<WireAnswer | WireFailure> {
  return new Promise((resolve) => {
    const reader = new AnswerReader(request, resolve);
    const { method, path, headers, body } = request;
    dispatcher.dispatch({ origin, method, path, headers, body }, reader);
  });
}

/** Reads one answer as it comes in, and settles exactly once: with the answer, or with the first thing that went wrong. */
class AnswerReader implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | null = null;
  private failure: WireFailure | null = null;
  private answer: Pick<WireAnswer, "status" | "headers"> = { status: 0, headers: {} };
  private readonly chunks: Buffer[] = [];
  private size = 0;
  private sink: Sink | null = null;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly request: WireRequest,
    private readonly settle: (result: WireAnswer | WireFailure) => void,
  ) {
    this.timer = setTimeout(() => this.fail("timeout", null), request.timeoutMs);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.failure) {
      // Timed out while connecting: nothing may be sent any more.
      controller.abort(new ClientError("unreachable", "The request timed out"));
      return;
    }
    this.controller = controller;
    // A connection is there, and undici writes the whole request to it before it returns to the event loop.
    queueMicrotask(() => this.request.onSent());
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHeaders): void {
    this.answer = { status, headers: singleValues(headers) };
    const { sink } = this.request;
    if (!sink || !isStream(this.answer, sink.mediaType)) return;
    this.sink = sink;
    sink.start();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.sink) {
      this.timer.refresh();
      if (!this.failure) this.sink.write(chunk);
      return;
    }
    this.size += chunk.length;
    if (this.size > MAX_ANSWER_BYTES) this.fail("too_large", null);
    else this.chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.failure) return;
    clearTimeout(this.timer);
    this.settle({ kind: "answer", ...this.answer, body: Buffer.concat(this.chunks) });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(reasonOf(error), error);
  }

  private fail(reason: WireFailure["reason"], cause: unknown): void {
    if (this.failure) return;
    clearTimeout(this.timer);
    this.failure = { kind: "failure", reason, sent: this.controller !== null, cause };
    this.settle(this.failure);
    this.controller?.abort(new ClientError("unreachable", "The answer was given up"));
  }
}

/** Whether an answer is a success of a media type that is not JSON. */
export function isStream({ status, headers }: Pick<WireAnswer, "status" | "headers">, mediaType: string): boolean {
  const [type = ""] = (headers["content-type"] ?? "").split(";");
  const isPlain = (headers["content-encoding"] ?? "identity") === "identity";
  return status === 200 && isPlain && type.trim().toLowerCase() === mediaType;
}

type IncomingHeaders = Readonly<Record<string, string | string[] | undefined>>;

function singleValues(headers: IncomingHeaders): WireAnswer["headers"] {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value?.toString()]));
}

function reasonOf(error: Error): WireFailure["reason"] {
  if (error instanceof ProxyError) return "proxy";
  return isCertificateError(error) ? "certificate" : "connection";
}

/** Node's codes of a certificate that cannot be trusted, or of no TLS at all: trying again does not help. */
function isCertificateError(error: Error & { code?: unknown }): boolean {
  return /CERT|UNABLE_TO_(GET|VERIFY|DECRYPT|DECODE)|^ERR_SSL_/.test(String(error.code));
}
