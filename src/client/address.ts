import { ClientError } from "./errors.ts";

/** Where a backend is. */
export interface BackendAddress {
  /** Scheme, host and port; what a stored token is bound to. */
  readonly origin: string;
  /** The path under which the contract lives, without a slash at its end. */
  readonly basePath: string;
  readonly isLoopback: boolean;
}

/** The environment as it is passed in. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Whether a host as `URL.hostname` gives it is this machine: 127.0.0.0/8, ::1 or localhost. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

/**
 * Reads the URL of a backend (https only, except loopback).
 *
 * @throws ClientError `invalid_usage` for what is not the URL of a backend, `insecure_url` for http to another machine
 */
export function parseAddress(apiUrl: string): BackendAddress {
  const url = URL.canParse(apiUrl) ? new URL(apiUrl) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw new ClientError("invalid_usage", "The API URL is not valid", {
      hint: "Pass one such as https://api.secureflag.com/rest/management/v2, without user, query or fragment.",
    });
  }
  const isLoopback = isLoopbackHost(url.hostname);
  if (url.protocol === "http:" && !isLoopback) {
    throw new ClientError("insecure_url", `${url.origin} is not https`, {
      hint: "Use https. Only a backend on this machine may use http, as in http://127.0.0.1:4010/rest/management/v2.",
    });
  }
  return { origin: url.origin, basePath: url.pathname.replace(/\/+$/, ""), isLoopback };
}

/**
 * Refuses to run without certificate checks.
 *
 * @throws ClientError `insecure_tls`
 */
export function assertVerifiedTls(env: Environment): void {
  if (env.NODE_TLS_REJECT_UNAUTHORIZED !== "0") return;
  throw new ClientError("insecure_tls", "NODE_TLS_REJECT_UNAUTHORIZED=0 disables certificate checks", {
    hint: "Unset it. For a private certificate authority, set NODE_EXTRA_CA_CERTS.",
  });
}

/** What the environment says about the proxy of an https backend, or `null`. This machine is never reached through one. */
export function proxyFor(address: BackendAddress, env: Environment): { proxy: string; noProxy: string } | null {
  const proxy = env.https_proxy || env.HTTPS_PROXY;
  if (address.isLoopback || !proxy) return null;
  return { proxy, noProxy: env.no_proxy || env.NO_PROXY || "" };
}
