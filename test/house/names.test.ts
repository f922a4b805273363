import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import manifest from "../../package.json";
import { ROOT } from "../support/places.ts";

/** What people are shown, and what runs for them. */
const PLACES = [".ci", ".config", ".github", "README.md", "bin", "src"];

/** A file, by its path from the top. */
interface Text {
  readonly path: string;
  readonly text: string;
}

/** What fetches by name: package managers, images, actions, components. What follows is what it fetches. */
const FETCHES = [
  /\b(?:npx|pnpx|bunx|(?:npm|pnpm|yarn|bun) (?:i|install|add|exec|dlx|x|create|init|update))\b([^`\n]*)/g,
  /\b(?:brew|winget|scoop|choco|apt|apt-get|dnf|apk|snap|flatpak|pip|pipx|cargo|go) (?:install|add|run)\b([^`\n]*)/g,
  /\b(?:docker|podman) (?:pull|run|create)\b([^`\n]*)/g,
  /\b(?:(?:uses|image|component):|FROM) ([^`\n]*)/g,
];

/** A name of ours that somebody else may own, where it is no file, and not in a domain of examples (RFC 2606). */
const OURS = /^@?(?:[\w.-]+\/)*@?(?:secureflag|sfl\b)/;

/** What a line fetches by a name of ours from somewhere that may not be ours. */
function fetchedByName(line: string): string[] {
  return FETCHES.flatMap((pattern) => [...line.matchAll(pattern)]).flatMap(([, rest = ""]) =>
    rest
      .split(/[\s'"]+/)
      .filter((word) => OURS.test(word) && !/^\.{0,2}\/|\.(?:tgz|gz|js|mjs)\b|^[\w.-]+\.example\//.test(word))
      .map((word) => word.replace(/[,.:;)]$/, "")),
  );
}

let texts: Text[];

beforeAll(async () => {
  const names = await Promise.all(
    PLACES.map(async (place) => {
      if (place.includes(".md")) return [place];
      const entries = await readdir(join(ROOT, place), { recursive: true, withFileTypes: true });
      return entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(ROOT.length));
    }),
  );
  texts = await Promise.all(
    names.flat().map(async (path) => ({ path, text: await readFile(join(ROOT, path), "utf8") })),
  );
});

describe("nothing is installed or run by a name that nobody may own", () => {
  test("in the README, the action, the texts and the tools", () => {
    expect(texts.map(({ path }) => path)).toEqual(expect.arrayContaining(["README.md", "src/cli/errors.ts"]));
    const found = texts.flatMap(({ path, text }) =>
      text.split("\n").flatMap((line) => fetchedByName(line).map((name) => `${path}: ${name}`)),
    );
    expect(found).toEqual([]);
  });

  test.each([
    ["npx --yes secureflag-licenses buy 5", "secureflag-licenses"],
    ["npm install -g secureflag-licenses@0.1.0", "secureflag-licenses@0.1.0"],
    ["run `pnpm dlx @secureflag/licenses`", "@secureflag/licenses"],
    ["- uses: secureflag/secureflag-licenses/top-up@v1", "secureflag/secureflag-licenses/top-up@v1"],
    ["docker run --rm ghcr.io/secureflag/licenses:1 status", "ghcr.io/secureflag/licenses:1"],
    ["image: secureflag/licenses", "secureflag/licenses"],
    ["brew install sfl", "sfl"],
  ])("is found in `%s`", (line, name) => {
    expect(fetchedByName(line)).toEqual([name]);
  });

  test.each([
    "npm install --global ./secureflag-licenses-0.1.0.tgz",
    "npm install --global secureflag-licenses-0.1.0.tgz",
    "- uses: ./.github/actions/top-up",
    "npx --yes node@24 bin/secureflag-licenses.js --version",
    "npm install -g @fontsource/noto-sans-jp",
  ])("is not found in `%s`", (line) => {
    expect(fetchedByName(line)).toEqual([]);
  });
});

test("the project has one address", () => {
  const { homepage, bugs, repository } = manifest;
  const address = homepage.replace(/#.*$/, "");
  expect([bugs.url, repository.url]).toEqual([`${address}/issues`, `git+${address}.git`]);
  const others = texts.flatMap(({ path, text }) =>
    [...text.matchAll(/https:\/\/github\.com\/secureflag[^\s)"'`]*/gi)].flatMap(([url]) =>
      url.startsWith(address) ? [] : [`${path}: ${url}`],
    ),
  );
  expect(others).toEqual([]);
});
