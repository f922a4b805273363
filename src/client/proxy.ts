import { request } from "node:http";
import type { Socket } from "node:net";
import type { buildConnector as Connectors } from "undici";
import buildConnector from "undici/lib/core/connect.js";
import { ClientError, ProxyError } from "./errors.ts";
import { trustSystem } from "./systemCertificates.ts";

/** An HTTP proxy that tunnels (RFC 9110, section 9.3.6). */
interface Proxy {
  /** Host and port, as messages name it. */
  readonly name: string;
  /** Without the brackets of IPv6. */
  readonly host: string;
  readonly port: number;
  /** The value of `Proxy-Authorization`, where the URL has a user. */
  readonly authorization: string | null;
}

const ENCODE_HINT =
  "Percent-encode special characters in the user and password, as in http://user:p%23ss@proxy.example:3128.";
const OTHER_PROXY_HINT = "Set it to an HTTP proxy, as in http://proxy.example:3128, or unset it.";
const CHECK_PROXY_HINT = "Check HTTPS_PROXY and the network, or exempt this host with NO_PROXY.";

/** Makes the connections of an undici agent: TLS through a tunnel of the proxy. */
export interface ProxyConnector {
  readonly connect: Connectors.connector;
  /** Why a request that got no connection in time failed: nothing came through the proxy. */
  timedOut(): ProxyError;
}

/**
 * Connects to a backend through a proxy. A password that the proxy rejects is sent once, whatever runs in parallel: some
 * proxies lock accounts after a few wrong ones.
 *
 * @param text the value of HTTPS_PROXY; without a scheme it means http
 * @param options `timeoutMs` for the tunnel, and again for TLS in it; `signal` cuts tunnels that are being opened
 * @throws ClientError `insecure_url` for what is not the URL of an HTTP proxy
 */
export function proxyConnector(
  text: string,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): ProxyConnector {
  const proxy = parseProxy(text);
  const open = proxy.authorization === null ? openTunnel : untilRejected(openTunnel);
  const timedOut = (cause?: unknown) =>
    new ProxyError(`Connection through the proxy ${proxy.name} timed out`, CHECK_PROXY_HINT, false, { cause });
  const through = (secure: Connectors.connector): Connectors.connector => {
    return (options, callback) => {
      const { hostname, port } = options;
      const target = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port || 443}`;
      open(proxy, target, timeoutMs, signal).then(
        (httpSocket) =>
          secure({ ...options, httpSocket }, (...[error, socket]) => {
            if (error === null) callback(null, socket);
            else callback("code" in error && error.code === "UND_ERR_CONNECT_TIMEOUT" ? timedOut(error) : error, null);
          }),
        (error: Error) => callback(error, null),
      );
    };
  };
  return { timedOut, connect: trustSystem((tls) => through(buildConnector({ timeout: timeoutMs, ...tls }))) };
}

/** Opens one tunnel at a time, and none after the proxy has refused one for good. */
function untilRejected(open: typeof openTunnel): typeof openTunnel {
  let rejection: ProxyError | null = null;
  let last: Promise<unknown> = Promise.resolve();
  return (...args) => {
    const opening = last.then(async () => {
      if (rejection !== null) throw rejection;
      return await open(...args);
    });
    last = opening.catch((error: unknown) => {
      if (error instanceof ProxyError && error.isFinal) rejection = error;
    });
    return opening;
  };
}

/** The URL of a proxy has nothing after its host and port. Anything there, as after CORP\user or p#ss, is a misread password. */
function parseProxy(text: string): Proxy {
  const withScheme = /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(withScheme)) throw refuse("HTTPS_PROXY is not a valid URL");
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(withScheme);
  if (protocol !== "http:") {
    const scheme = protocol.slice(0, -1);
    throw refuse(`HTTPS_PROXY starts with ${scheme}://, and only HTTP proxies are supported`, OTHER_PROXY_HINT);
  }
  const rest = pathname.slice(1) + search + hash;
  if (rest !== "" || !/^(\[[\d.:a-f]+\]|[\w.-]+)$/.test(hostname)) throw refuse("HTTPS_PROXY is not a valid URL");
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const name = `${hostname}:${port || 80}`;
  const user = username || password ? `${decoded(username)}:${decoded(password)}` : null;
  const authorization = user === null ? null : `Basic ${Buffer.from(user).toString("base64")}`;
  return { name, host, port: Number(port || 80), authorization };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw refuse("HTTPS_PROXY is not a valid URL: its user or password is not percent-encoded", ENCODE_HINT, cause);
  }
}

/** The value is never shown: it may hold a password. */
function refuse(message: string, hint = ENCODE_HINT, cause?: unknown): ClientError {
  return new ClientError("insecure_url", message, { hint, cause });
}

function openTunnel(proxy: Proxy, target: string, timeoutMs: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { host, port, name, authorization } = proxy;
    const headers = { host: target, ...(authorization !== null && { "proxy-authorization": authorization }) };
    const connecting = request({ host, port, method: "CONNECT", path: target, headers, agent: false, signal });
    const timer = setTimeout(() => {
      connecting.destroy(new ProxyError(`Connection to the proxy ${name} timed out`, CHECK_PROXY_HINT, false));
    }, timeoutMs);
    // Stays: an error after the tunnel is open is the socket's own.
    connecting.on("error", (cause) => {
      clearTimeout(timer);
      const message = `Cannot connect to the proxy ${name}`;
      reject(cause instanceof ProxyError ? cause : new ProxyError(message, CHECK_PROXY_HINT, false, { cause }));
    });
    connecting.once("connect", ({ statusCode = 0 }, socket: Socket, head: Buffer) => {
      clearTimeout(timer);
      if (statusCode < 200 || statusCode > 299) {
        socket.destroy();
        reject(refusal(proxy, statusCode));
        return;
      }
      // TLS is spoken by the client first, so that nothing of it can be there yet.
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    connecting.end();
  });
}

/** A 407 is final, because accounts are locked after some wrong passwords; so is every other refusal but a gateway's. */
function refusal({ name, authorization }: Proxy, status: number): ProxyError {
  if (status !== 407) {
    const message = `The proxy ${name} refused the connection with HTTP status ${status}`;
    return new ProxyError(message, CHECK_PROXY_HINT, status < 500);
  }
  return authorization === null
    ? new ProxyError(
        `The proxy ${name} requires a user and password (HTTP 407)`,
        "Add them to HTTPS_PROXY, percent-encoded: http://user:password@host:port.",
        true,
      )
    : new ProxyError(
        `The proxy ${name} rejected the user or password in HTTPS_PROXY (HTTP 407)`,
        "Correct them, percent-encoded. It was tried once, because accounts are locked after several wrong passwords.",
        true,
      );
}
