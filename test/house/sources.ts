import { readdir, readFile } from "node:fs/promises";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** One file of `src/`. */
export interface Source {
  /** From the top of the checkout, `src/billing/money.ts`. */
  readonly path: string;
  readonly text: string;
  /** The text without comments and string literals. */
  readonly code: string;
}

/** One import. `to` is a path of ours, or a package's name. */
export interface Import {
  readonly from: string;
  readonly to: string;
  readonly kind: "static" | "dynamic" | "type";
}

/** Every TypeScript file of `src/`. */
export async function readSources(): Promise<Source[]> {
  const names = await readdir(`${root}src`, { recursive: true });
  const paths = names.filter((name) => /\.tsx?$/.test(name)).map((name) => `src/${name.replaceAll("\\", "/")}`);
  return Promise.all(
    paths.sort().map(async (path) => {
      const text = await readFile(`${root}${path}`, "utf8");
      return { path, text, code: withoutCommentsAndTexts(text) };
    }),
  );
}

/** Every program file, of the tools and tests too. */
export async function readProgramFiles(): Promise<Omit<Source, "code">[]> {
  const folders = [".config", "bin", "src", "test"];
  const names = await Promise.all(folders.map((folder) => readdir(`${root}${folder}`, { recursive: true })));
  const paths = folders.flatMap((folder, index) => (names[index] ?? []).map((name) => `${folder}/${name}`));
  const programs = paths.filter((path) => /\.([cm]?[jt]s|tsx)$/.test(path)).map((path) => path.replaceAll("\\", "/"));
  return Promise.all(programs.map(async (path) => ({ path, text: await readFile(`${root}${path}`, "utf8") })));
}

/**
 * Every import of `src/`: those that run from esbuild's metafile (TypeScript 7 has no JavaScript API), those of types,
 * which esbuild drops, from the text.
 */
export async function readImports(sources: readonly Source[]): Promise<Import[]> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: sources.map(({ path }) => path),
    outdir: "dist",
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    packages: "external",
    platform: "node",
    format: "esm",
    logLevel: "silent",
  });
  const running = Object.entries(metafile.inputs).flatMap(([from, input]) =>
    input.imports.map(
      ({ path, kind }): Import => ({
        from,
        to: packageOf(path),
        kind: kind === "dynamic-import" ? "dynamic" : "static",
      }),
    ),
  );
  return [...running, ...sources.flatMap(typeImports)].filter(({ to }) => !to.startsWith("node:"));
}

function typeImports({ path, text }: Source): Import[] {
  const found = text.matchAll(/(?:import|export) type [^;]*? from "([^"]+)"|import\("([^"]+)"\)\./g);
  return [...found].map((match) => {
    const specifier = match[1] ?? match[2] ?? "";
    const to = specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : packageOf(specifier);
    return { from: path, to, kind: "type" };
  });
}

function packageOf(path: string): string {
  if (path.startsWith("src/") || path.startsWith("node:")) return path;
  return path
    .split("/")
    .slice(0, path.startsWith("@") ? 2 : 1)
    .join("/");
}

function withoutCommentsAndTexts(text: string): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, (comment) => comment.replaceAll(/[^\n]/g, ""))
    .replaceAll(/"(?:[^"\\\n]|\\.)*"/g, '""')
    .replaceAll(/(^|\s)\/\/.*$/gm, "$1");
}
