import { beforeAll, describe, expect, test } from "vitest";
import { type Import, readImports, readSources } from "./sources.ts";

/** What each room may import of ours: anything to the right of it. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  cli: ["cli", "client", "contract", "billing"],
  client: ["client", "contract", "billing"],
  backend: ["backend", "contract", "billing"],
  contract: ["contract", "billing"],
  billing: ["billing"],
};

/** The only packages of the pure rooms: no framework. */
const OWN_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  contract: ["zod", "@hapi/address", "canonicalize"],
  billing: ["dayjs"],
};

const FOR_TERMINALS = "@napi-rs/keyring chalk commander csv-parse csv-stringify inquirer ora".split(" ");
const FOR_BACKENDS = ["cookie", "fastify", "kysely", "libsql", "otpauth", "pdfkit", "pg", "preact", "prom-client"];

/** What has no business in a room. */
const FOREIGN_PACKAGES: Readonly<Record<string, readonly string[]>> = {
  cli: [...FOR_BACKENDS, "undici"],
  client: [...FOR_BACKENDS, ...FOR_TERMINALS],
  backend: [...FOR_TERMINALS, "undici"],
};

const COMMANDS_WITH_BACKEND = /^src\/cli\/(sandbox|service)\//;

const roomOf = (path: string) => path.split("/")[1] ?? "";
const isOurs = (path: string) => path.startsWith("src/");
const show = ({ from, to, kind }: Import) => `${from} → ${to} (${kind})`;

/** The circles of files, each as its files in the order in which they import each other. */
function circles(imports: readonly Import[]): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]) => {
    if (path.includes(file)) found.push([...path.slice(path.indexOf(file)), file]);
    if (path.includes(file) || done.has(file)) return;
    for (const { from, to } of imports) if (from === file) walk(to, [...path, file]);
    done.add(file);
  };
  for (const { from } of imports) walk(from, []);
  return found;
}

describe("imports between rooms", () => {
  let imports: Import[];

  beforeAll(async () => {
    imports = await readImports(await readSources());
  });

  test("are found", () => {
    expect(imports.filter(({ from }) => roomOf(from) === "billing").length).toBeGreaterThan(5);
  });

  test.each(Object.keys(ROOMS))("from %s go only to its right", (room) => {
    const wrong = imports
      .filter(({ from, to }) => roomOf(from) === room && isOurs(to))
      .filter(({ to }) => !(ROOMS[room] ?? []).includes(roomOf(to)))
      .filter(({ from, to }) => !(COMMANDS_WITH_BACKEND.test(from) && roomOf(to) === "backend"));
    expect(wrong.map(show)).toEqual([]);
  });

  test("from the cli to the backend are dynamic only", () => {
    const wrong = imports.filter(
      ({ from, to, kind }) => roomOf(from) === "cli" && isOurs(to) && roomOf(to) === "backend" && kind === "static",
    );
    expect(wrong.map(show)).toEqual([]);
  });

  const packagesOf = (room: string) => imports.filter(({ from, to }) => roomOf(from) === room && !isOurs(to));

  test.each(Object.entries(OWN_PACKAGES))("from %s use no package but %j", (room, own) => {
    expect(
      packagesOf(room)
        .filter(({ to }) => !own.includes(to))
        .map(show),
    ).toEqual([]);
  });

  test.each(Object.entries(FOREIGN_PACKAGES))("from %s use none of %j", (room, foreign) => {
    expect(
      packagesOf(room)
        .filter(({ to }) => foreign.includes(to))
        .map(show),
    ).toEqual([]);
  });

  // A shell that completes a word waits as long as for a start.
  test.each(["main.ts", "help/complete.ts"])("from %s load no package but commander", (entry) => {
    const loaded = new Set([`src/cli/${entry}`]);
    // A set also goes through what is added meanwhile.
    for (const file of loaded) {
      for (const { from, to, kind } of imports) if (from === file && kind === "static") loaded.add(to);
    }
    expect([...loaded].filter((file) => !isOurs(file) && !file.endsWith(".json"))).toEqual(["commander"]);
  });

  test("form no cycle, including types", () => {
    expect(circles(imports.filter(({ to }) => isOurs(to)))).toEqual([]);
  });

  test.each(["cli", "backend"])("between folders of %s go one way", (room) => {
    const folderOf = (path: string) => path.split("/").slice(0, -1).join("/");
    const pairs = new Set(
      imports
        .filter(({ from, to }) => roomOf(from) === room && roomOf(to) === room && folderOf(from) !== folderOf(to))
        .map(({ from, to }) => `${folderOf(from)} → ${folderOf(to)}`),
    );
    const mutual = [...pairs].filter((pair) => pairs.has(pair.split(" → ").reverse().join(" → ")));
    const inRoot = (pair: string) => pair.split(" → ").includes(`src/${room}`);
    expect(mutual.filter((pair) => !inRoot(pair))).toEqual([]);
  });

  test("cover every folder of src", async () => {
    const rooms = new Set((await readSources()).map(({ path }) => roomOf(path)));
    expect([...rooms].filter((room) => !Object.hasOwn(ROOMS, room))).toEqual([]);
  });
});
