import type { IncomingMessage } from "node:http";
import { ProblemError } from "../problem.ts";

/** `host [":" port]` (RFC 9110, section 7.2): a name, an IPv4 address or a bracketed IPv6 one, and no user information. */
const AUTHORITY = /^(?<name>[\w.-]+|\[[\da-f:.]+\])(?::(?<port>\d{1,5}))?$/i;
const LOOPBACK = /^(localhost|127(\.(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}|\[::1\])$/i;
const LAST_PORT = 65_535;

/**
 * Reads a target in absolute-form as the same one in origin-form, whose authority then stands for the Host header
 * (RFC 9112, section 3.2.2). Leaves any other target as it is.
 *
 * @returns the target to route by
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
 * Refuses a request without exactly one valid Host (RFC 9112, section 3.2), and a target that is no path. Everything that
 * reads the Host, such as the address of a payment page, comes after this.
 *
 * @throws ProblemError `invalid_request`
 */
export function assertAuthority(request: IncomingMessage): void {
  const hosts = request.rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === "host");
  if (hosts.length > 1) throw new ProblemError("invalid_request", "The request has more than one Host header");
  if (!isAuthority(request.headers.host ?? "")) {
    throw new ProblemError("invalid_request", "The request's Host header is missing or not valid");
  }
  if (!request.url?.startsWith("/")) throw new ProblemError("invalid_request", "The request's target is not a path");
}

function isAuthority(text: string): boolean {
  const { port } = AUTHORITY.exec(text)?.groups ?? { port: "none" };
  return port === undefined || (Number(port) > 0 && Number(port) <= LAST_PORT);
}

/** Whether a valid Host names this machine: `localhost`, an address of 127.0.0.0/8, or `[::1]`, with any port. */
export function isLoopbackAuthority(text: string): boolean {
  return LOOPBACK.test(AUTHORITY.exec(text)?.groups?.name ?? "");
}
