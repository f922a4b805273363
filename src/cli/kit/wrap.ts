import stringWidth from "string-width";

/** What people copy stays whole: text between backticks with what is attached to it, and a URL, which is one word. */
const WORD = /(?:`[^`]*`|[^\s`]|`)+/g;

/**
 * Breaks a text into lines of at most `width` columns between words. A word that is wider, such as a URL, has a line of
 * its own.
 */
export function wrap(text: string, width: number): string {
  const lines: string[] = [];
  let line = "";
  for (const [word] of text.matchAll(WORD)) {
    if (line !== "" && stringWidth(line) + 1 + stringWidth(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join("\n");
}

/** Breaks a word into pieces of at most `width` columns. A character may take two columns, or none. */
export function pieces(word: string, width: number): string[] {
  if (stringWidth(word) <= width) return [word];
  const lines = [""];
  for (const { segment } of new Intl.Segmenter("en", { granularity: "grapheme" }).segment(word)) {
    const line = lines.at(-1) ?? "";
    if (line !== "" && stringWidth(line + segment) > width) lines.push(segment);
    else lines[lines.length - 1] = line + segment;
  }
  return lines;
}
