import type { Command } from "commander";
import { bashInsertion, readBashLine } from "./bashLine.ts";
import { type Candidate, complete, type ProfileNames } from "./candidates.ts";
import type { Shell } from "./shells.ts";

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
