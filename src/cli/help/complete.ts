import { Argument, type Command } from "commander";
import type { Context } from "../context.ts";
import { type Candidate, complete, type ProfileNames } from "./candidates.ts";
import { SHELLS, type Shell } from "./page.ts";

/** Registers the hidden `complete`, which the scripts of `completion` call. */
export function register(program: Command, context: Context): void {
  program
    .command("complete", { hidden: true })
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .argument("[told...]")
    .action(async (shell: Shell, told: string[]) => runComplete(shell, told, context, program));
}

/**
 * Answers a shell's script. It never fails and says nothing on stderr, because somebody is typing; it reads nothing but
 * the settings, and those only where the name of a profile may stand.
 */
export async function runComplete(
  shell: Shell,
  told: readonly string[],
  context: Context,
  program: Command,
): Promise<void> {
  const profileNames = () => context.profileNames().catch(() => []);
  const lines = await answerTo(shell, told, program, profileNames);
  await context.io.print(`${lines.join("\n")}\n`);
}

/** How a shell's script speaks. */
interface Dialect {
  /** The words that the script tells, the last one to be completed. */
  readonly words: readonly string[];
  /** Whether a candidate is to be told. What does not go on from the word, some shells leave out by themselves. */
  tells(candidate: Candidate): boolean;
  /** A candidate in the form that the script passes on to its shell. */
  write(candidate: Candidate): string;
}

/**
 * What a shell's script is told, in lines: first `words`, `files` or `directories`, then the candidates. None of them
 * has a line end or a tab.
 *
 * @param told what the script says of the command line; see there
 */
export async function answerTo(
  shell: Shell,
  told: readonly string[],
  program: Command,
  profileNames: ProfileNames,
): Promise<string[]> {
  const { words, tells, write } = DIALECTS[shell](told);
  const completion = await complete(program, words, profileNames);
  if (typeof completion === "string") return [completion];
  return ["words", ...completion.filter(tells).map(write)];
}

const DIALECTS: Readonly<Record<Shell, (told: readonly string[]) => Dialect>> = {
  bash: ([breaks = "", text = ""]) => {
    const line = readBashLine(text, breaks);
    const { words, isClosed } = line;
    return {
      words,
      tells: ({ value }) => !isClosed && value.startsWith(words.at(-1) ?? ""),
      write: ({ value }) => bashInsertion(value, line),
    };
  },
  zsh: (words) => ({
    words,
    tells: () => true,
    write: ({ value, meaning }) => joined(value.replace(/[\\:]/g, "\\$&"), ":", meaning),
  }),
  fish: (words) => ({ words, tells: () => true, write: ({ value, meaning }) => joined(value, "\t", meaning) }),
  powershell: (told) => {
    // It passes no empty word on, so that there is a sign before the last.
    const word = (told.at(-1) ?? "").replace(/^=['"]?/, "");
    return {
      words: [...told.slice(0, -1), word],
      tells: ({ value }) => value.startsWith(word),
      write: ({ value, meaning }) => `${powershellWord(value)}\t${value}\t${meaning || value}`,
    };
  },
};

function joined(value: string, sign: string, meaning: string): string {
  return meaning === "" ? value : `${value}${sign}${meaning}`;
}

/** A value as a word of PowerShell, which takes typographic quotes for its own. */
function powershellWord(value: string): string {
  return /^[\w./:=-]+$/.test(value) ? value : `'${value.replace(/['\u2018-\u201b]/g, "$&$&")}'`;
}

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
