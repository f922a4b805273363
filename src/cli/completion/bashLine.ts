/** A command line as bash shows it to a completion: as it was typed, up to the cursor. */
export interface BashLine {
  /** Its words without their quotes, without the program's name; the last one may be empty. */
  readonly words: readonly string[];
  /**
   * How much of the last word stays where it is: bash puts a completion in the place of what comes after the last
   * character that breaks words, such as `:`, or after a quote that is open.
   */
  readonly kept: number;
  /** The quote that is open at the cursor. */
  readonly quote: "" | "'" | '"';
  /** Whether the cursor stands after a quoted text that is closed, where nothing can be put without spoiling it. */
  readonly isClosed: boolean;
}

interface Reading extends BashLine {
  /** The last word; `null` between words. */
  readonly word: string | null;
  /** Whether the character before is a backslash that takes the next one's meaning away. */
  readonly isEscaped: boolean;
}

const START: Reading = { words: [], word: null, isEscaped: false, kept: 0, quote: "", isClosed: false };

/**
 * Reads a line by the quoting rules of bash. Nothing of it is ever run: `$(…)` and `$x` are text.
 *
 * @param breaks the characters that break words, COMP_WORDBREAKS
 */
export function readBashLine(line: string, breaks: string): BashLine {
  let at = START;
  for (const character of line) at = read(at, character, breaks);
  const { word, kept, quote, isClosed } = at;
  const [, ...words] = [...at.words, word ?? ""];
  return { words, kept: words.length === 0 ? 0 : kept, quote, isClosed };
}

function read(at: Reading, character: string, breaks: string): Reading {
  const { quote } = at;
  const word = at.word ?? "";
  const grown = word + character;
  if (at.isEscaped) {
    const isMeant = quote === "" || '$`"\\'.includes(character);
    return { ...at, isEscaped: false, word: isMeant ? grown : `${word}\\${character}` };
  }
  if (character === "\\" && quote !== "'") return { ...at, isEscaped: true, word };
  if (character === quote) return { ...at, quote: "", isClosed: true };
  if (quote !== "") return { ...at, word: grown };
  if (character === "'" || character === '"') return { ...at, word, quote: character, kept: word.length };
  if (/\s/.test(character)) return at.word === null ? at : { ...START, words: [...at.words, at.word] };
  return { ...at, word: grown, kept: breaks.includes(character) ? grown.length : at.kept };
}

/**
 * What bash is to insert for a value: the part that is not there yet, quoted as its place asks for, and with the end of
 * the quote that is open there. Bash would leave that end out after a value that ends with such a quote itself.
 */
export function bashInsertion(value: string, { kept, quote }: Pick<BashLine, "kept" | "quote">): string {
  const rest = value.slice(kept);
  // History is read in double quotes, too, where no backslash takes its meaning away without staying there.
  if (quote === '"') return `${rest.replace(/[$`"\\]/g, "\\$&").replaceAll("!", '"\\!"')}"`;
  if (quote === "'") return `${rest.replaceAll("'", "'\\''")}'`;
  return rest.replace(/[^\w./:@%+,=\u0080-\u{10ffff}-]/gu, "\\$&");
}
