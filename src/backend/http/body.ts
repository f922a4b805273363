import { createHmac, timingSafeEqual } from "node:crypto";
import { type AnyNode, parse } from "@humanwhocodes/momoa";
import { parseCookie, stringifySetCookie } from "cookie";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";

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

/** Text that is not JSON as we take it; the message says what and where. */
class JsonError extends Error {
  override readonly name = "JsonError";
}

/** Bodies nested deeper than this are refused, as answers are (security.md, Hostile input). */
const MAX_DEPTH = 64;

/**
 * Reads JSON, refusing what parsers disagree about: a name that an object has twice, and `__proto__`.
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
 * How many members the objects of a JSON text have: its colons outside of strings. Counting them takes a fraction of the
 * time of the parser that tells where they are, which a long body would keep everybody else waiting for.
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

/** How many names the objects of a value have; one that a text has twice counts once, and `__proto__` not at all. */
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
    if (seen.has(name)) throw new JsonError(`${where} is there twice`);
    seen.add(name);
    refuseAmbiguity(member.value, where);
  }
}
