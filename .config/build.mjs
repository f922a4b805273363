/**
 * Bundles `src/cli/main.ts` into `dist/`: one entry, with commands in chunks of their own that load when called. Beside
 * it go what the program answers without loading any of them, `openapi.json`, generated from the contract, the JSON
 * Schemas of what the commands print, the manual page, the font of PDF receipts, and the licenses of all that is not
 * ours.
 */
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { lean } from "./lean.mjs";

const root = new URL("..", import.meta.url).pathname;
const dist = `${root}dist`;
const { version } = JSON.parse(await readFile(`${root}package.json`, "utf8"));

await rm(dist, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: { main: "src/cli/main.ts", keyring: "src/cli/session/keyringProcess.ts" },
  outdir: "dist",
  bundle: true,
  splitting: true,
  metafile: true,
  platform: "node",
  format: "esm",
  target: "node20",
  minifySyntax: true,
  minifyWhitespace: true,
  // Identifiers stay, so that stack traces can be read.
  minifyIdentifiers: false,
  external: ["libsql", "@napi-rs/keyring", "pg-native"],
  plugins: [lean],
  // Packages written as CommonJS call `require` for Node's own modules; ESM output has none.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
});
// For `npm run bench`: what loads what.
await writeJson("../node_modules/.cache/metafile.json", metafile);
await writeJson("answers.json", await answers(["--version", "-V", "--help", "-h", "help"]));
const { openapiDocument } = await load("src/contract/openapi.ts");
await writeJson("openapi.json", openapiDocument(version));
const { outputSchemas } = await load("src/cli/outputSchemas.ts");
for (const [file, schema] of Object.entries(outputSchemas())) await writeJson(`schemas/${file}`, schema);
const { manPage } = await load("src/cli/man/page.ts");
await mkdir(`${dist}/man`);
await writeFile(`${dist}/man/secureflag-licenses.1`, manPage());
const font = "node_modules/dejavu-fonts-ttf/ttf/DejaVuSans.ttf";
await mkdir(`${dist}/fonts`);
await copyFile(`${root}${font}`, `${dist}/fonts/DejaVuSans.ttf`);
await writeFile(`${dist}/THIRD-PARTY-LICENSES.txt`, await licenses([...Object.keys(metafile.inputs), font]));

/** What the bundled program prints for each argument alone, whatever the environment. */
async function answers(args) {
  const { createContext, main } = await import(`${dist}/main.js`);
  const printed = args.map(async (argument) => {
    const context = createContext();
    let text = "";
    const print = async (output) => {
      text += output;
      return true;
    };
    // As where no terminal says how wide it is, whatever this runs in.
    const io = { ...context.io, columns: undefined, stdoutIsTerminal: false, print };
    const exitCode = await main([argument], { ...context, io });
    if (exitCode !== 0) throw new Error(`${argument} ended with ${exitCode}`);
    return [argument, text];
  });
  return Object.fromEntries(await Promise.all(printed));
}

/** A module of the sources, so that what is generated comes from the very schemas that the program works with. */
async function load(entryPoint) {
  // Where packages, which stay outside, are found.
  const outfile = `${root}node_modules/.cache/build/${entryPoint.replaceAll("/", "-")}.${process.pid}.mjs`;
  await build({
    absWorkingDir: root,
    entryPoints: [entryPoint],
    outfile,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
  });
  const module = await import(pathToFileURL(outfile).href);
  await rm(outfile);
  return module;
}

async function writeJson(file, value) {
  await mkdir(dirname(`${dist}/${file}`), { recursive: true });
  await writeFile(`${dist}/${file}`, `${JSON.stringify(value, null, 2)}\n`);
}

/** Name, version and license text of every package that a bundled file comes from. */
async function licenses(files) {
  const folders = new Set(files.flatMap((file) => file.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//)?.[1] ?? []));
  const texts = [...folders].sort().map(async (folder) => {
    const { name, version: installed, license } = JSON.parse(await readFile(`${root}${folder}/package.json`, "utf8"));
    const file = (await readdir(`${root}${folder}`)).find((entry) => /^licen[sc]e/i.test(entry));
    const text = file ? await readFile(`${root}${folder}/${file}`, "utf8") : `License: ${license}\n`;
    return `${name} ${installed}\n\n${text.trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${"-".repeat(80)}\n\n`);
}
