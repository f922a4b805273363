import { type AnyNode, parse } from "@humanwhocodes/momoa";

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
