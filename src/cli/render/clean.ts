/**
 * Makes a text from a backend or a file safe for a terminal (security.md, Hostile input): C0, C1 and bidirectional
 * controls and what no terminal can show go; tabs and line ends become spaces. Every visible character stays, also
 * those of an escape sequence, which is none without its first character.
 */
export function clean(text: string): string {
  return text
    .replace(/[\t\r\n\u2028\u2029]+/g, " ")
    .replace(/[\p{Control}\p{Bidi_Control}\p{Surrogate}\p{Noncharacter_Code_Point}]/gu, "");
}
