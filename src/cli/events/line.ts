/** A line of an export, parsed. */
export type Line = Readonly<Record<string, unknown>>;

/** Keeps a byte order mark, which is no JSON. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Parses a line of an export that any other program reads in the same way: valid UTF-8, one JSON object, no name twice, and
 * numbers as JSON.stringify writes them.
 *
 * @returns `null` for another line
 */
export function parseLine(bytes: Uint8Array): Line | null {
  try {
    const text = utf8.decode(bytes);
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    return isUnambiguous(text, value) ? (value as Line) : null;
  } catch {
    return null;
  }
}

/** A string with the colon behind it where it is a name, or a number. */
const TOKEN = /"(?:[^"\\]|\\.)*"(\s*:)?|-?\d[\d.eE+-]*/g;

/** Whether a JSON text has as many names as its value, and only numbers that are written as usual. */
function isUnambiguous(text: string, value: object): boolean {
  let names = 0;
  for (const [token, colon] of text.matchAll(TOKEN)) {
    if (colon !== undefined) names += 1;
    else if (!token.startsWith('"') && String(Number(token)) !== token) return false;
  }
  return names === countNames(value);
}

function countNames(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const inside = Object.values(value).reduce<number>((sum, inner) => sum + countNames(inner), 0);
  return inside + (Array.isArray(value) ? 0 : Object.keys(value).length);
}
