import { stripVTControlCharacters } from "node:util";

/**
 * Makes a text from a backend or a file safe for a terminal (security.md, Hostile input): escape sequences, C0, C1 and
 * bidirectional controls go; tabs and line ends become spaces.
 */
export function clean(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/[\t\r\n\u2028\u2029]+/g, " ")
    .replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "");
}
