import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasCompleteSqlite } from "../../../src/backend/database/nodeSqlite.ts";
import { newerNode } from "../../support/newerNode.ts";
import { clearedEnvironment, ROOT, removePlaces, temporaryDirectory } from "../../support/places.ts";

const [NODE_22, NODE_24] = [newerNode(22), newerNode(24)];

/** The libraries, each as what runs a program with it; `null` is left out. */
const LIBRARIES = {
  "SQLite of Node.js 22": [NODE_22],
  "SQLite of Node.js 24": [NODE_24],
  // Without its own SQLite, a newer Node.js does what an older one does.
  libsql: [process.execPath, ...(hasCompleteSqlite(process.versions.node) ? ["--no-experimental-sqlite"] : [])],
} as const;

type Library = keyof typeof LIBRARIES;

const isThere = (library: Library) => LIBRARIES[library][0] !== null;

/** What `observe` of test/backend/support/sqliteProgram.ts prints, whichever the library. */
const EXPECTED = {
  "text as it was": true,
  booleans: [[[1, "real"]], [[0, "real"]]],
  null: [[null, "null"]],
  numbers: [[[5, "real"]], [[-1.5, "real"]], [[9_007_199_254_740_994, "real"]]],
  "an integer beyond 2^53": [[2 ** 60, "integer"]],
  refused: [...Array(4).fill("TypeError"), expect.stringMatching(/^(Type|Range)Error$/)],
  readers: [true, true, true, true],
  "not readers": [false, false, false, false],
  changes: [1, 0, 1],
  "first row": expect.objectContaining({ id: 1, text: "one" }),
  "no row": "undefined",
  rows: [
    { text: "one", any: null },
    { text: "two", any: null },
  ],
  "two values": [{ a: 1, b: "x" }],
  iterated: [{ x: 120 }, 250],
  constraints: Array(5).fill("SQLITE_CONSTRAINT"),
  syntax: "SQLITE_ERROR",
  "double quotes": "SQLITE_ERROR",
  executed: "SQLITE_ERROR",
  "reading fails": Array(3).fill("SQLITE_ERROR"),
  "afterwards the same statements work": [[{ json: "{}" }], 1],
  "read-only": "SQLITE_READONLY",
  nested: "SQLITE_ERROR",
  states: [false, true, false],
  "rolled back": ["a defect", true],
  committed: [1, [{ count: 4 }]],
  full: ["SQLITE_FULL", "database or disk is full"],
  "owned already": "SQLITE_BUSY",
  "not a database": "SQLITE_NOTADB",
  "in no folder": "SQLITE_CANTOPEN",
  "a folder": "SQLITE_CANTOPEN",
};

describe("each SQLite", () => {
  let bundle: string;
  let folder: string;

  beforeAll(async () => {
    folder = await temporaryDirectory();
    // Where packages, which stay outside, are found.
    bundle = join(ROOT, "node_modules/.cache", `sqlite-${crypto.randomUUID()}.mjs`);
    await build({
      absWorkingDir: ROOT,
      entryPoints: ["test/backend/support/sqliteProgram.ts"],
      outfile: bundle,
      bundle: true,
      packages: "external",
      platform: "node",
      format: "esm",
      target: "node20",
    });
  });

  afterAll(async () => {
    await rm(bundle, { force: true });
    await removePlaces();
  });

  function start(library: Library, action: string, file: string) {
    const [node, ...flags] = LIBRARIES[library].map(String);
    const env = clearedEnvironment(folder);
    return execa(node ?? "", [...flags, bundle, action, file], { env, extendEnv: false, reject: false, stdin: "pipe" });
  }

  async function run(library: Library, action: string, file: string): Promise<unknown> {
    const { stdout, stderr, exitCode } = await start(library, action, file);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    return JSON.parse(stdout);
  }

  const all = Object.keys(LIBRARIES) as Library[];

  test.each(all.filter(isThere))("%s does what the store relies on, and emits no warning", async (library) => {
    const found = await run(library, "observe", join(folder, `observed with ${library}`));
    expect(found).toEqual({ "the built-in library": library !== "libsql", ...EXPECTED });
  });

  const pairs: [Library, Library][] = [
    ["SQLite of Node.js 24", "libsql"],
    ["libsql", "SQLite of Node.js 24"],
    ["SQLite of Node.js 22", "SQLite of Node.js 24"],
  ];

  test.each(pairs.filter((pair) => pair.every(isThere)))(
    "what %s wrote before it was killed is read by %s, and not before",
    async (writer, reader) => {
      const file = join(folder, `written with ${writer}`);
      const writing = start(writer, "write", file);
      await once(writing.stdout, "data");
      expect(await run(reader, "read", file)).toBe("SQLITE_BUSY");
      writing.kill("SIGKILL");
      expect(await writing).toMatchObject({ signal: "SIGKILL", stderr: "" });
      expect(await run(reader, "read", file)).toEqual([0, 1, 2, 3, 4, 5, 6]);
      expect(await run(writer, "read", file)).toEqual([0, 1, 2, 3, 4, 5, 6, -1]);
    },
  );

  test.skipIf(NODE_22 === null)("other warnings are emitted before and after it is loaded", async () => {
    const { stderr } = await start("SQLite of Node.js 22", "warn", ":memory:");
    const warnings = stderr.split("\n").filter((line) => line.includes("ExperimentalWarning"));
    expect(warnings.map((line) => line.replace(/^.*Warning: /, ""))).toEqual(["an experiment", "another experiment"]);
  });
});
