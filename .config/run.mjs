/** Runs a TypeScript program of this project: `node .config/run.mjs <file.ts> [arguments]`. */
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = new URL("..", import.meta.url).pathname;
const [file, ...rest] = process.argv.slice(2);
const outdir = `${root}node_modules/.cache/run/${basename(file)}`;

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
  define: { "import.meta.url": JSON.stringify(pathToFileURL(`${root}${file}`).href) },
});
process.argv = [process.argv[0], file, ...rest];
await import(pathToFileURL(`${outdir}/main.js`).href);
