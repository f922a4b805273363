import { request } from "node:http";
import type { Socket } from "node:net";
import type { buildConnector as Connectors } from "undici";
import buildConnector from "undici/lib/core/connect.js";
import { ClientError, ProxyError } from "./errors.ts";

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

const WRONG_URL_HINT =
  "Set it to one such as http://proxy.example:3128, or unset it. Percent-encode special characters in a password.";
const CHECK_PROXY_HINT = "Check HTTPS_PROXY and the network, or exempt this host with NO_PROXY.";

/**
 * Makes the connections of an undici agent: TLS through a tunnel of the proxy.
 *
 * @param text the value of HTTPS_PROXY; without a scheme it means http
 * @param options `timeoutMs` for the tunnel, and again for TLS in it; `signal` cuts tunnels that are being opened
 * @throws ClientError `insecure_url` for what is not the URL of an HTTP proxy
 */
export function proxyConnector(
  text: string,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Connectors.connector {
  const proxy = parseProxy(text);
  const secure = buildConnector({ timeout: timeoutMs });
  return (options, callback) => {
    const { hostname, port } = options;
    const target = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port || 443}`;
    openTunnel(proxy, target, timeoutMs, signal).then(
      (httpSocket) => secure({ ...options, httpSocket }, callback),
      (error: Error) => callback(error, null),
    );
  };
}

/** The text is never shown: it may hold a password. */
function parseProxy(text: string): Proxy {
  const withScheme = /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(withScheme)) throw refuse("HTTPS_PROXY is not the URL of a proxy");
  const { protocol, hostname, port, username, password } = new URL(withScheme);
  if (protocol !== "http:") {
    const scheme = protocol.slice(0, -1);
    throw refuse(`HTTPS_PROXY starts with ${scheme}://, and only HTTP proxies are supported`);
  }
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
    throw refuse("HTTPS_PROXY has a user or password that is not percent-encoded", cause);
  }
}

function refuse(message: string, cause?: unknown): ClientError {
  return new ClientError("insecure_url", message, { hint: WRONG_URL_HINT, cause });
}

function openTunnel(proxy: Proxy, target: string, timeoutMs: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { host, port, name, authorization } = proxy;
    const headers = { host: target, ...(authorization !== null && { "proxy-authorization": authorization }) };
    const connecting = request({ host, port, method: "CONNECT", path: target, headers, agent: false, signal });
    const timer = setTimeout(() => {
      connecting.destroy(new ProxyError(`The proxy ${name} did not answer in time`, CHECK_PROXY_HINT, false));
    }, timeoutMs);
    // Stays: an error after the tunnel is open is the socket's own.
    connecting.on("error", (cause) => {
      clearTimeout(timer);
      const message = `The proxy ${name} cannot be reached`;
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
    const message = `The proxy ${name} refused the connection with the HTTP status ${status}`;
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
