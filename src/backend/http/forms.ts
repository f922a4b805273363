import { createHmac, timingSafeEqual } from "node:crypto";
import { parseCookie, stringifySetCookie } from "cookie";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../problem.ts";

type FormDeps = Pick<BackendDeps, "pageOrigin" | "pageKey" | "random">;

/** How many random bytes tell one browser from another. */
const BROWSER_BYTES = 32;

/**
 * Lets only forms of our own pages through. A browser says where a form was sent from; a program that says nothing goes
 * on, and needs the form's token.
 *
 * @throws ProblemError `forbidden`, `invalid_request`
 */
export function assertOwnForm(deps: Pick<BackendDeps, "pageOrigin">, request: FastifyRequest): void {
  const { origin, "sec-fetch-site": site = "same-origin", "content-type": type = "" } = request.headers;
  const isOurs = origin === undefined || origin === new URL(deps.pageOrigin(request.host)).origin;
  // `none` is a form that its person sent again by reloading the page.
  if (!isOurs || (site !== "same-origin" && site !== "none")) {
    throw new ProblemError("forbidden", "This form was sent from another site; nothing was changed");
  }
  if (!type.startsWith("application/x-www-form-urlencoded")) {
    throw new ProblemError("invalid_request", "This page takes a form");
  }
}

/**
 * Signs what a form carries, so that it comes back as it was shown. What the parts are must be clear from the first.
 *
 * @returns base64url
 */
export function signed(deps: Pick<BackendDeps, "pageKey">, parts: readonly string[]): string {
  return createHmac("sha256", deps.pageKey).update(JSON.stringify(parts)).digest("base64url");
}

/** Whether a signature is that of the parts, compared in constant time. */
export function isSigned(deps: Pick<BackendDeps, "pageKey">, parts: readonly string[], signature: string): boolean {
  const expected = Buffer.from(signed(deps, parts));
  const presented = Buffer.from(signature);
  return presented.length === expected.length && timingSafeEqual(presented, expected);
}

/**
 * The secret that a page keeps in its browser by a cookie, made where there is none. A form carries a signature of it,
 * which another site can neither read nor make.
 * On https the cookie has the prefix `__Host-`, which no other host can set and which needs the path `/`.
 *
 * @param page the page's path, which names the cookie too: `/device`
 */
export function browserSecret(
  deps: FormDeps,
  page: `/${string}`,
  request: FastifyRequest,
  reply: FastifyReply,
): string {
  const secure = deps.pageOrigin(request.host).startsWith("https:");
  const name = `${secure ? "__Host-" : ""}secureflag${page.replaceAll("/", "-")}`;
  const brought = parseCookie(request.headers.cookie ?? "")[name];
  if (brought !== undefined && /^[\w-]{43}$/.test(brought)) return brought;
  const secret = deps.random(BROWSER_BYTES).toString("base64url");
  const path = secure ? "/" : page;
  reply.header(
    "Set-Cookie",
    stringifySetCookie({ name, value: secret, httpOnly: true, sameSite: "strict", secure, path }),
  );
  return secret;
}
