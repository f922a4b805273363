import { type AnyNode, parse } from "@humanwhocodes/momoa";

/** Text that is not JSON as we take it; the message says what and where. */
class JsonError extends Error {
  override readonly name = "JsonError";
}

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
  refuseAmbiguity(parse(text).body, "");
  return value;
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
