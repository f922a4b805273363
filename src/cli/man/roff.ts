/** What a formatter of manual pages takes for something else, or prints as something that cannot be copied. */
const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "-": "\\-",
  "'": "\\(aq",
  "`": "\\(ga",
  '"': "\\(dq",
  "^": "\\(ha",
  "~": "\\(ti",
};

/** A text as it is to be printed, with its own hyphens and quotes, in which no line is a request. */
export function roff(text: string): string {
  return text
    .replace(/[\\'"`^~-]/g, (character) => ESCAPES[character] ?? character)
    .replace(/[^\n -~]/gu, (character) => `\\[u${codeOf(character)}]`)
    .replace(/^\./gm, "\\&.");
}

function codeOf(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
}

/** A text in bold. */
export function bold(text: string): string {
  return text === "" ? "" : `\\fB${roff(text)}\\fR`;
}

/** A sentence, in which what stands between backticks is typed. */
export function prose(text: string): string {
  return text
    .split("`")
    .map((part, index) => (index % 2 === 0 ? roff(part) : bold(part)))
    .join("");
}

/** How something is called, `--from <file>`: what is typed in bold, what stands for something else in italics. */
export function usage(text: string): string {
  return text
    .split(/([<[][^>\]]*[>\]])/)
    .map((part, index) => (index % 2 === 0 ? bold(part) : `\\fI${roff(part)}\\fR`))
    .join("");
}

/** A term, already in roff, with a sentence on what it means indented below it. */
export function item(term: string, meaning: string): string {
  return `.TP\n${term}\n${prose(meaning)}`;
}

/** Lines that stay as they are. */
export function literal(text: string): string {
  return `.nf\n${roff(text)}\n.fi`;
}
