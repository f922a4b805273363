/** The longest text of a backend that a person is shown, in characters. */
export const MAX_TEXT = 2048;

/**
 * Makes a text from a backend or a file safe for a terminal (security.md, Hostile input): C0, C1 and bidirectional
 * controls and what no terminal can show go; tabs and line ends become spaces. Every visible character stays, also
 * those of an escape sequence, which is none without its first character.
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
