import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { readSections } from "../support/page.ts";
import { ROOT } from "../support/places.ts";
import { readProgramFiles } from "./sources.ts";

/** A page that a comment or a test title names, perhaps with one of its headings: `src/cli/README.md, Exit codes`. */
const CITATION = /(?<!["'`\w./-])([\w./-]*\b[\w-]+\.md)\b(?:, ([A-Z][\w -]*))?/g;

const THIS_FILE = "test/house/citations.test.ts";

/** Comments as one line each, so that a citation may go on in the next line. */
function unbroken(text: string): string {
  return text.replace(/\n\s*(?:\*(?!\/)|\/\/) ?/g, " ");
}

/** The page that is meant: by its path from the top or from here, or the README of the nearest room. */
function pageOf(name: string, file: string): string | null {
  if (name.includes("/")) {
    const places = [name, join(dirname(file), name)];
    return places.find((place) => existsSync(join(ROOT, place))) ?? null;
  }
  const room = file
    .replace(/^test\//, "src/")
    .split("/")
    .slice(0, 2)
    .join("/");
  return (
    [room, ".github", "."].map((folder) => join(folder, name)).find((place) => existsSync(join(ROOT, place))) ?? null
  );
}

test("every citation in a comment exists, including its heading", async () => {
  const files = (await readProgramFiles()).filter(({ path }) => path !== THIS_FILE);
  const dead: string[] = [];
  let count = 0;
  for (const { path, text } of files) {
    for (const [, name = "", headings = ""] of unbroken(text).matchAll(CITATION)) {
      count += 1;
      const page = pageOf(name, path);
      if (page === null) dead.push(`${path}: ${name}`);
      else if (headings !== "") {
        const sections = [...(await readSections(page)).keys()];
        const has = (cited: string) => sections.some((heading) => cited.startsWith(heading));
        if (!has(headings) && !headings.split(" and ").every(has)) dead.push(`${path}: ${name}, ${headings}`);
      }
    }
  }
  expect(count).toBeGreaterThan(50);
  expect(dead).toEqual([]);
});
