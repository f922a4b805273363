import { clean } from "./clean.ts";

const LONGEST = 300;

/**
 * A backend's text as a code span: no Markdown, HTML, link or mention in it means anything (CommonMark, 6.1). The fence
 * is longer than any run of backticks inside.
 */
export function codeSpan(text: string): string {
  const cleaned = clean(text).trim().slice(0, LONGEST) || "-";
  const runs = cleaned.match(/`+/g) ?? [];
  const fence = "`".repeat(1 + Math.max(0, ...runs.map((run) => run.length)));
  const space = cleaned.startsWith("`") || cleaned.endsWith("`") ? " " : "";
  return `${fence}${space}${cleaned}${space}${fence}`;
}

/**
 * A link to a URL that was judged before. Everything in it that Markdown could read is written as a character
 * reference, which a link's destination may hold (CommonMark, 6.3).
 *
 * @param label our own words
 */
export function link(label: string, url: string): string {
  const destination = new URL(url).href.replace(/[^\w:/?=.~%-]/g, (character) => `&#${character.codePointAt(0)};`);
  return `[${label}](<${destination}>)`;
}
