/** Runs a TypeScript program of this project: `node .config/run.mjs <file.ts> [arguments]`. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import ensureBuilt, { root } from "./built.mjs";

const [file, ...rest] = process.argv.slice(2);
// Where packages, which stay outside, are found. Each run has its own: what is seldom needed loads late.
const outdir = join(root, "node_modules/.cache/run", crypto.randomUUID());
process.on("exit", () => rmSync(outdir, { recursive: true, force: true }));

// What measures or kills the built program needs it; the sources run without.
if (file.startsWith("test/")) await ensureBuilt();

await build({
  absWorkingDir: root,
  entryPoints: { main: file },
  outdir,
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node20",
  packages: "external",
  sourcemap: "inline",
  define: { "import.meta.url": JSON.stringify(pathToFileURL(join(root, file)).href) },
});
process.argv = [process.argv[0], file, ...rest];
await import(pathToFileURL(join(outdir, "main.js")).href);
