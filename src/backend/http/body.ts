import { createHmac, timingSafeEqual } from "node:crypto";
import { type AnyNode, parse } from "@humanwhocodes/momoa";
import { parseCookie, stringifySetCookie } from "cookie";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";

type FormDeps = Pick<BackendDeps, "pageOrigin" | "pageKey" | "random">;

/** The size of the secret in a browser's cookie. */
const BROWSER_BYTES = 32;

/**
 * Accepts only forms of our own pages. Browsers send where a form comes from; a program that does not is accepted here,
 * and still needs the form's token.
 *
 * @throws BackendError `forbidden`, `invalid_request`
 */
export function assertOwnForm(deps: Pick<BackendDeps, "pageOrigin">, request: FastifyRequest): void {
  const { origin, "sec-fetch-site": site = "same-origin", "content-type": type = "" } = request.headers;
  const isOurs = origin === undefined || origin === new URL(deps.pageOrigin(request.host)).origin;
  // `none` is a form that was sent again by reloading the page.
  if (!isOurs || (site !== "same-origin" && site !== "none")) {
    throw new BackendError("forbidden", "This form was sent from another site; nothing was changed");
  }
  if (!type.startsWith("application/x-www-form-urlencoded")) {
    throw new BackendError("invalid_request", "This page requires a form");
  }
}

/**
 * Signs what a form carries, so that it comes back unchanged. The first part must identify what the others are.
 *
 * @returns base64url
 */
export function signed(deps: Pick<BackendDeps, "pageKey">, parts: readonly string[]): string {
  return createHmac("sha256", deps.pageKey).update(JSON.stringify(parts)).digest("base64url");
}

/** Reports whether a signature of this key or an earlier one matches the parts, in constant time. */
export function isSigned(
  { pageKey, olderPageKeys = [] }: Pick<BackendDeps, "pageKey"> & Partial<Pick<BackendDeps, "olderPageKeys">>,
  parts: readonly string[],
  signature: string,
): boolean {
  const presented = Buffer.from(signature);
  return [pageKey, ...olderPageKeys].some((key) => {
    const expected = Buffer.from(signed({ pageKey: key }, parts));
    return presented.length === expected.length && timingSafeEqual(presented, expected);
  });
}

/**
 * Returns the secret in a page's cookie, and sets the cookie if the browser has none. Forms carry a signature of the
 * secret, which another site can neither read nor create. Over https the cookie has the prefix `__Host-`, which no other
 * host can set and which requires the path `/`.
 *
 * @param page the page's path, which is also part of the cookie's name: `/device`
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

/** The text is not JSON, or is JSON that we do not accept; the message says what and where. */
class JsonError extends Error {
  override readonly name = "JsonError";
}

/** Bodies nested deeper than this are refused (src/backend/README.md, Hostile input). */
const MAX_DEPTH = 64;

/**
 * Parses JSON, and refuses what parsers disagree about: a duplicate name in an object, and `__proto__`.
 *
 * @throws JsonError
 */
export function parseStrictJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new JsonError(`is not JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (membersIn(text) !== namesIn(value, MAX_DEPTH)) refuseAmbiguity(parse(text).body, "");
  return value;
}

const [QUOTE, BACKSLASH, COLON] = ['"', "\\", ":"].map((character) => character.charCodeAt(0));

/**
 * Counts the members of all objects in a JSON text: its colons outside strings. That takes a fraction of the time of the
 * parser that locates them, which would block every other request during a long body.
 */
function membersIn(text: string): number {
  let members = 0;
  let inString = false;
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charCodeAt(index);
    if (character === QUOTE) inString = !inString;
    else if (inString && character === BACKSLASH) index += 1;
    else if (!inString && character === COLON) members += 1;
  }
  return members;
}

/** Counts the names of all objects in a value. A duplicate in the text counts once, `__proto__` does not count. */
function namesIn(value: unknown, levels: number): number {
  if (typeof value !== "object" || value === null) return 0;
  if (levels === 0) throw new JsonError("is nested too deeply");
  const inside = Object.values(value).reduce<number>((names, inner) => names + namesIn(inner, levels - 1), 0);
  if (Array.isArray(value)) return inside;
  return inside + Object.keys(value).length - (Object.hasOwn(value, "__proto__") ? 1 : 0);
}

function refuseAmbiguity(node: AnyNode, path: string): void {
  if (node.type === "Array") {
    for (const [index, element] of node.elements.entries()) refuseAmbiguity(element.value, `${path}[${index}]`);
  }
  if (node.type !== "Object") return;
  const seen = new Set<string>();
  for (const member of node.members) {
    const name = member.name.type === "String" ? member.name.value : member.name.name;
    const where = path ? `${path}.${name}` : name;
    if (name === "__proto__") throw new JsonError(`${where} is not allowed`);
    if (seen.has(name)) throw new JsonError(`${where} occurs twice`);
    seen.add(name);
    refuseAmbiguity(member.value, where);
  }
}
