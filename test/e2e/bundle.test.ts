import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DIST } from "../support/places.ts";

/** What a chunk imports late, and the names that it takes of it. */
interface LateImport {
  readonly chunk: string;
  readonly from: string;
  readonly names: readonly string[];
}

const FROM = String.raw`import\("([^"]+)"\)`;
const NAMES = String.raw`\{([^{}]*)\}`;

/** The ways in which our code takes names from a late import, as the build writes them. */
const ONE_BY_ONE = [
  new RegExp(`${NAMES}=await ${FROM}`, "g"),
  new RegExp(String.raw`${FROM}\.then\(\(${NAMES}\)=>`, "g"),
  new RegExp(String.raw`\(await ${FROM}\)\.(\w+)`, "g"),
  // The catalogue: each entry registers its command.
  new RegExp(String.raw`load:\(\)=>${FROM}()`, "g"),
  // Loaded early, and taken from later.
  new RegExp(`${FROM}\\.catch\\(`, "g"),
];
const TOGETHER = new RegExp(String.raw`\[((?:${NAMES},?)+)\]=await Promise\.all\(\[((?:${FROM},?)+)\]\)`, "g");

function lateImports(chunk: string, text: string): LateImport[] {
  const single = ONE_BY_ONE.flatMap((pattern) =>
    [...text.matchAll(pattern)].map(([, one = "", other = ""]) => {
      const [names, from] = pattern.source.startsWith(NAMES) ? [one, other] : [other, one];
      return { chunk, from, names: pattern.source.startsWith("load") ? ["register"] : namesIn(names) };
    }),
  );
  const several = [...text.matchAll(TOGETHER)].flatMap(([, names = "", , imports = ""]) => {
    const taken = [...names.matchAll(new RegExp(NAMES, "g"))].map(([, each = ""]) => namesIn(each));
    const sources = [...imports.matchAll(new RegExp(FROM, "g"))].map(([, from = ""]) => from);
    return sources.map((from, index) => ({ chunk, from, names: taken[index] ?? [] }));
  });
  return [...single, ...several];
}

/** `a,b:c` takes a and b. */
function namesIn(list: string): string[] {
  return list.split(",").flatMap((name) => name.split(":")[0]?.trim() || []);
}

/** `export{a,b as c}` gives a and c; a package in CommonJS gives only a default. */
function exportsOf(text: string): string[] {
  const listed = [...text.matchAll(/\bexport\{([^}]*)\}/g)].flatMap(([, list = ""]) =>
    list.split(",").map((name) => name.split(" as ").at(-1)?.trim() ?? ""),
  );
  return /\bexport default\b/.test(text) ? [...listed, "default"] : listed;
}

test("every name that the built program imports lazily exists", async () => {
  const files = (await readdir(DIST)).filter((name) => name.endsWith(".js"));
  const texts = new Map(
    await Promise.all(
      files.map(async (name): Promise<[string, string]> => [`./${name}`, await readFile(join(DIST, name), "utf8")]),
    ),
  );
  const found = [...texts].flatMap(([chunk, text]) => lateImports(chunk, text));
  const written = [...texts].flatMap(([chunk, text]) =>
    [...text.matchAll(new RegExp(FROM, "g"))].map(([, from]) => `${chunk} imports ${from}`),
  );
  // None is written in a way that this test does not read.
  expect(found.map(({ chunk, from }) => `${chunk} imports ${from}`).sort()).toEqual(written.sort());
  expect(found.length).toBeGreaterThan(40);
  const missing = await Promise.all(
    found.map(async ({ chunk, from, names }) => {
      const text = texts.get(from);
      const there = text === undefined ? Object.keys(await import(from)) : exportsOf(text);
      return names.filter((name) => !there.includes(name)).map((name) => `${chunk}: ${name} of ${from}`);
    }),
  );
  expect(missing.flat()).toEqual([]);
});

/** The part of esbuild's metafile that says what is in a chunk, and what it loads. */
interface Metafile {
  readonly outputs: Readonly<
    Record<
      string,
      {
        readonly entryPoint?: string;
        readonly inputs: Readonly<Record<string, unknown>>;
        readonly imports: readonly { readonly path: string; readonly kind: string }[];
      }
    >
  >;
}

test("Stripe's client is loaded by nothing but the part of the service that sells through Stripe", async () => {
  const { outputs } = JSON.parse(await readFile(join(DIST, "metafile.json"), "utf8")) as Metafile;
  const loadsStripe = (chunk: string, seen = new Set<string>()): boolean => {
    const output = outputs[chunk];
    if (output === undefined || seen.has(chunk)) return false;
    seen.add(chunk);
    return (
      Object.keys(output.inputs).some((path) => path.startsWith("node_modules/stripe/")) ||
      output.imports.some(({ path, kind }) => kind !== "dynamic-import" && loadsStripe(path, seen))
    );
  };
  const loading = Object.entries(outputs).flatMap(([chunk, { entryPoint }]) =>
    entryPoint !== undefined && loadsStripe(chunk) ? [entryPoint] : [],
  );
  expect(loading.sort()).toEqual(["src/backend/payments/stripe/open.ts", "src/backend/service/webhooks.ts"]);
});
