import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "./places.ts";

/** The README does not have what a test runs. */
class ReadmeError extends Error {
  override readonly name = "ReadmeError";
}

/** What stands in the README between fences, to the letter. */
export interface Example {
  readonly language: string;
  readonly text: string;
}

/** Every example of the README. */
export async function readExamples(): Promise<Example[]> {
  const text = await readFile(join(ROOT, "README.md"), "utf8");
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = "", example = ""]) => ({
    language,
    text: example,
  }));
}

/** The one example in this language that has these words. */
export function exampleWith(examples: readonly Example[], language: string, words: string): string {
  const [found, ...others] = examples.filter((one) => one.language === language && one.text.includes(words));
  if (!found || others.length > 0) throw new ReadmeError(`not one example in ${language} with ${words}`);
  return found.text;
}
