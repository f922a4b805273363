/**
 * Reads what was piped in, or is in a file that a person made: UTF-8, or the UTF-16 that Windows PowerShell writes, without
 * the byte order mark.
 */
export function decodeText(bytes: Uint8Array): string {
  const isWide = bytes[0] === 0xff && bytes[1] === 0xfe;
  return Buffer.from(bytes)
    .toString(isWide ? "utf16le" : "utf8")
    .replace(/^\uFEFF/, "");
}

/** The maximum length of a backend's text on a terminal, in characters. */
export const MAX_TEXT = 2048;

/**
 * Makes a text from a backend or a file safe for a terminal: C0, C1 and bidirectional
 * controls and what no terminal can show go; tabs and line ends become spaces. Every visible character stays, even
 * those of an escape sequence, which does nothing without its first character.
 *
 * @param longest how many characters stay; what is cut ends with `…`
 */
export function clean(text: string, { longest = MAX_TEXT }: { readonly longest?: number } = {}): string {
  const cleaned = text
    .replace(/[\t\r\n\u2028\u2029]+/g, " ")
    .replace(/[\p{Control}\p{Bidi_Control}\p{Surrogate}\p{Noncharacter_Code_Point}]/gu, "");
  return cleaned.length > longest ? `${cleaned.slice(0, longest - 1).replace(/\p{Surrogate}$/u, "")}…` : cleaned;
}

/** Cleans a text and keeps all of it: for programs, and for what has to be copied whole. */
export function cleanWhole(text: string): string {
  return clean(text, { longest: Number.POSITIVE_INFINITY });
}

const MAX_SHORT = 40;

/** A value as an error names it: at most 40 characters of it. */
export function shorten(text: string): string {
  const characters = [...text];
  return characters.length > MAX_SHORT ? `${characters.slice(0, MAX_SHORT - 1).join("")}…` : text;
}

/** How many digits of an id a list shows; a command that takes an id takes these for the whole. */
const SHORT_DIGITS = 8;

/**
 * The beginning of an id, without its organization: `pur_4f8c21d9` of `pur_4201_4f8c21d90a1b2c3d4e5f6071`. Another id is
 * given back whole.
 */
export function shortId(id: string): string {
  const [, kind, digits] = new RegExp(`^([a-z]+_)(?:\\d+_)?([0-9a-f]{${SHORT_DIGITS}})[0-9a-f]+$`).exec(id) ?? [];
  return kind === undefined ? id : `${kind}${digits}`;
}

/** A bar of so many columns, filled as far as its share; other than a color it says the same to everybody. */
export function bar(share: number, width: number): { filled: string; empty: string } {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width);
  return { filled: "█".repeat(filled), empty: "░".repeat(width - filled) };
}
