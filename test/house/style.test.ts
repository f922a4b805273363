import { beforeAll, describe, expect, test } from "vitest";
import { readProgramFiles, readSources, type Source } from "./sources.ts";

/** The only files that may look at the machine: its process, its clock, its randomness. Each is of a program of its own. */
const CONTEXTS = ["src/cli/context.ts", "src/cli/connection/keyringProcess.ts"];

/** The pauses between tries of rival transactions have to differ, and nothing else depends on them. */
const JITTER = "src/backend/database/transaction.ts";

/** Node.js' own SQLite depends on its version, and emits a warning that nobody asked for. */
const NODE_SQLITE = "src/backend/database/nodeSqlite.ts";

const MAX_LINES = 300;
const THIS_FILE = "test/house/style.test.ts";

describe("code conventions", () => {
  let sources: Source[];

  beforeAll(async () => {
    sources = await readSources();
  });

  function linesWith(pattern: RegExp, chosen = sources): string[] {
    return chosen.flatMap(({ path, code }) =>
      code.split("\n").flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} ${line.trim()}`] : [])),
    );
  }

  test.each([
    ["the process", /\bprocess\s*(\?\.|\.|\[)/],
    ["the clock", /\bDate\.now\b|\bnew Date\(\s*\)|\bDate\(\s*\)|\bperformance\.now\b|\bhrtime\b/],
    ["the clock through dayjs", /\bdayjs(\.utc|\.tz)?\(\s*\)/],
    ["randomness", /\bMath\.random\b|\b(web)?crypto\.(random|getRandom)|\bgetRandomValues\b/],
  ])("only the context reads %s", (_, pattern) => {
    const others = sources.filter(({ path }) => ![...CONTEXTS, JITTER, NODE_SQLITE].includes(path));
    expect(linesWith(pattern, others)).toEqual([]);
  });

  test("only the context imports the process and randomness", () => {
    const pattern = /from "(node:)?process"|import \{[^}]*\brandom\w+[^}]*\} from "(node:)?crypto"/;
    const importing = sources.filter(({ text }) => pattern.test(text)).map(({ path }) => path);
    expect(importing.filter((path) => !CONTEXTS.includes(path))).toEqual([]);
  });

  test("zod is imported as a namespace, so that the bundle can be tree-shaken", () => {
    const pattern = /^import \{.*\} from "zod"/m;
    expect(sources.filter(({ text }) => pattern.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test("errors are typed: no bare Error", () => {
    expect(linesWith(/\bnew Error\(/)).toEqual([]);
  });

  test("no any, no suppressions, no unfinished work", () => {
    expect(linesWith(/(:|<|as|,|\|) any\b|\bany\[\]/)).toEqual([]);
    const marks = /@ts-|biome-ignore|eslint-|\bTODO\b|\bFIXME\b|\bXXX\b/;
    expect(sources.filter(({ text }) => marks.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test("nothing exits the process with pending output", () => {
    expect(linesWith(/\bprocess\.exit\(/)).toEqual([]);
  });

  // It is percent-encoded, and on Windows begins with a slash: `fileURLToPath` gives a path.
  test("the pathname of a file URL is never used as its path", async () => {
    const files = await readProgramFiles();
    expect(files.map(({ path }) => path)).toEqual(
      expect.arrayContaining([".config/build.mjs", "bin/secureflag-licenses.js", "src/cli/main.ts", THIS_FILE]),
    );
    const wrong = files.filter(({ text }) => /\.pathname\b/.test(text) && /\bimport\.meta\b|\bfile:/.test(text));
    expect(wrong.map(({ path }) => path).filter((path) => path !== THIS_FILE)).toEqual([]);
  });

  test(`a file has at most ${MAX_LINES} lines`, () => {
    const long = sources.filter(({ text }) => text.split("\n").length > MAX_LINES);
    expect(long.map(({ path, text }) => `${path}: ${text.split("\n").length} lines`)).toEqual([]);
  });

  test("every export has a doc comment", () => {
    const silent = sources.flatMap(({ path, text }) => {
      const found = text.matchAll(/(^|\n)([^\n]*)\nexport (?:async )?(?:function|class|interface|type|const) (\w+)/g);
      return [...found].filter(([, , before = ""]) => !/\*\/\s*$/.test(before)).map((match) => `${path}: ${match[3]}`);
    });
    expect(silent).toEqual([]);
  });
});
