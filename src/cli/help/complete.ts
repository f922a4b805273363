import { Argument, type Command } from "commander";
import type { Context } from "../context.ts";
import { type Candidate, complete, type ProfileNames } from "./candidates.ts";
import { SHELLS, type Shell } from "./page.ts";

/** Registers the hidden `complete`, which the scripts of `completion` call. */
export function register(program: Command, context: Context): void {
  program
    .command("complete", { hidden: true })
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .argument("[args...]")
    .action(async (shell: Shell, args: string[]) => runComplete(shell, args, context, program));
}

/**
 * Answers a shell's script. Never fails and writes nothing to stderr, because a person is typing. Reads only the settings,
 * and those only to complete a profile.
 */
export async function runComplete(
  shell: Shell,
  args: readonly string[],
  context: Context,
  program: Command,
): Promise<void> {
  const profileNames = () => context.profileNames().catch(() => []);
  const lines = await answerTo(shell, args, program, profileNames);
  await context.io.print(`${lines.join("\n")}\n`);
}

/** The protocol of a shell's script. */
interface Dialect {
  /** The words of the command line; the last one is completed. */
  readonly words: readonly string[];
  /** Reports whether to offer a candidate. Some shells filter by the word themselves. */
  offers(candidate: Candidate): boolean;
  /** Formats a candidate for the script. */
  write(candidate: Candidate): string;
}

/**
 * Returns the lines for a shell's script: first `words`, `files` or `directories`, then the candidates.
 *
 * @param args the command line as the script passes it
 */
export async function answerTo(
  shell: Shell,
  args: readonly string[],
  program: Command,
  profileNames: ProfileNames,
): Promise<string[]> {
  const { words, offers, write } = DIALECTS[shell](args);
  const completion = await complete(program, words, profileNames);
  if (typeof completion === "string") return [completion];
  return ["words", ...completion.filter(offers).map(write)];
}

const DIALECTS: Readonly<Record<Shell, (args: readonly string[]) => Dialect>> = {
  bash: ([breaks = "", text = ""]) => {
    const line = readBashLine(text, breaks);
    const { words, isClosed } = line;
    return {
      words,
      offers: ({ value }) => !isClosed && value.startsWith(words.at(-1) ?? ""),
      write: ({ value }) => bashInsertion(value, line),
    };
  },
  zsh: (words) => ({
    words,
    offers: () => true,
    write: ({ value, meaning }) => joined(value.replace(/[\\:]/g, "\\$&"), ":", meaning),
  }),
  fish: (words) => ({ words, offers: () => true, write: ({ value, meaning }) => joined(value, "\t", meaning) }),
  powershell: (args) => {
    // PowerShell drops empty words, so the script puts `=` before the last one.
    const word = (args.at(-1) ?? "").replace(/^=['"]?/, "");
    return {
      words: [...args.slice(0, -1), word],
      offers: ({ value }) => value.startsWith(word),
      write: ({ value, meaning }) => `${powershellWord(value)}\t${value}\t${meaning || value}`,
    };
  },
};

function joined(value: string, sign: string, meaning: string): string {
  return meaning === "" ? value : `${value}${sign}${meaning}`;
}

/** Quotes a word for PowerShell, for which typographic quotes are quotes. */
function powershellWord(value: string): string {
  return /^[\w./:=-]+$/.test(value) ? value : `'${value.replace(/['\u2018-\u201b]/g, "$&$&")}'`;
}

/** A command line as bash passes it to a completion: as typed, up to the cursor. */
export interface BashLine {
  /** The unquoted words after the program's name; the last one may be empty. */
  readonly words: readonly string[];
  /**
   * How many characters of the last word stay: bash replaces what comes after the last character that breaks words, such
   * as `:`, or after an open quote.
   */
  readonly kept: number;
  /** The open quote at the cursor. */
  readonly quote: "" | "'" | '"';
  /** Whether the cursor is after a closed quote, where nothing can be inserted. */
  readonly isClosed: boolean;
}

interface Reading extends BashLine {
  /** The last word; `null` between words. */
  readonly word: string | null;
  /** Whether the previous character is an escaping backslash. */
  readonly isEscaped: boolean;
}

const START: Reading = { words: [], word: null, isEscaped: false, kept: 0, quote: "", isClosed: false };

/**
 * Splits a line by the quoting rules of bash. Nothing is expanded: `$(…)` and `$x` are text.
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
 * Returns the text that bash inserts for a value: the missing part, quoted for its place, with the end of an open quote.
 * Bash itself would leave that end out after a value that ends with such a quote.
 */
export function bashInsertion(value: string, { kept, quote }: Pick<BashLine, "kept" | "quote">): string {
  const rest = value.slice(kept);
  // History expands inside double quotes, too, where a backslash before `!` would stay.
  if (quote === '"') return `${rest.replace(/[$`"\\]/g, "\\$&").replaceAll("!", '"\\!"')}"`;
  if (quote === "'") return `${rest.replaceAll("'", "'\\''")}'`;
  return rest.replace(/[^\w./:@%+,=\u0080-\u{10ffff}-]/gu, "\\$&");
}
