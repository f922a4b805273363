/** A tree of parameters: texts, lists and fields of those. */
export type Form = { [name: string]: string | Form | (string | Form)[] };

/**
 * Reads `a[b][0]=c` (Stripe's API reference sends and takes `application/x-www-form-urlencoded`).
 *
 * @param text a query, or the body of a request
 */
export function readForm(text: string): Form {
  const fields: Form = Object.create(null);
  for (const [name, value] of new URLSearchParams(text)) {
    const path = name.split(/\[|\]\[|\]$/).filter((part, index) => index === 0 || part !== "");
    let place = fields;
    for (const part of path.slice(0, -1)) {
      const next = place[part];
      const inner = typeof next === "object" && !Array.isArray(next) ? next : (Object.create(null) as Form);
      place[part] = inner;
      place = inner;
    }
    place[path.at(-1) ?? ""] = value;
  }
  return withLists(fields) as Form;
}

/** Makes lists of what has only numbers as names. */
function withLists(value: string | Form | (string | Form)[]): string | Form | (string | Form)[] {
  if (typeof value === "string" || Array.isArray(value)) return value;
  const entries = Object.entries(value).map(([name, inner]) => [name, withLists(inner)] as const);
  const isList = entries.length > 0 && entries.every(([name], index) => name === String(index));
  return isList ? entries.map(([, inner]) => inner as string | Form) : Object.fromEntries(entries);
}
