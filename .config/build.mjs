/**
 * Bundles `src/cli/main.ts` into `dist/`: one entry, with commands in chunks of their own that load when called. Beside
 * it go what the program answers without loading any of them, `openapi.json`, generated from the contract, the JSON
 * Schemas and the types of what the commands print, the newest schema of the database, the manual page, the font of PDF
 * receipts, the licenses of all that is not ours, and in `action/` the action for GitHub with the program inside.
 */
import { rmSync } from "node:fs";
import { copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { BUILD_FILE, describeBuild, digestOfSources, isBuiltFrom, root } from "./built.mjs";
import { lean } from "./lean.mjs";
import { FONT, licenses } from "./packages.mjs";
import { typesOf } from "./types.mjs";

const dist = join(root, "dist");
const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
const digest = await digestOfSources();

// Made beside `dist/` and moved there whole: what is half built is never run, and two builds at once do not mix.
const [made, old] = ["made", "old"].map((name) => join(root, `.dist-${name}-${crypto.randomUUID()}`));
process.on("exit", () => {
  for (const folder of [made, old]) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

await make();
// What another build put there meanwhile stays: it may be running.
if (!process.argv.includes("--if-needed") || !(await isBuiltFrom(digest))) await publish();

async function make() {
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: {
      main: "src/cli/main.ts",
      keyring: "src/cli/connection/keyringProcess.ts",
      step: "src/cli/action/step.ts",
    },
    outdir: "dist",
    write: false,
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
  const files = new Map(outputFiles.map(({ path, contents }) => [relative(dist, path), contents]));
  for (const [name, contents] of files) await write(name, contents);
  await writeJson("answers.json", await answers(["--version", "-V", "version", "--help", "-h", "help"]));
  const { openapiDocument } = await load("src/contract/openapi.ts");
  await writeJson("openapi.json", openapiDocument(version));
  const { newestSchema } = await load("src/backend/database/migrations/newest.ts");
  await write("schema.sql", await newestSchema());
  const { outputSchemas } = await load("src/cli/outputSchemas.ts");
  for (const [file, schema] of Object.entries(outputSchemas())) await writeJson(`schemas/${file}`, schema);
  const { outputTypes } = await load("src/cli/outputTypes.ts");
  await write("outputs.d.ts", await typesOf(outputTypes()));
  const { manPage } = await load("src/cli/help/man.ts");
  await write("man/secureflag-licenses.1", await manPage());
  await write("man/sfl.1", ".so man1/secureflag-licenses.1\n");
  await mkdir(join(made, "fonts"));
  await copyFile(join(root, FONT), join(made, "fonts/DejaVuSans.ttf"));
  await write("THIRD-PARTY-LICENSES.txt", await licenses([...Object.keys(metafile.inputs), FONT]));
  await makeAction(metafile.outputs, files);
  // For `npm run bench`, and not packed: what loads what.
  await writeJson("metafile.json", metafile);
  await writeJson(BUILD_FILE, await describeBuild(digest, made));
}

/**
 * Makes the folder that people copy into their repository: the action, and everything of the program that the CLI may load.
 * Nothing in it asks a registry.
 */
async function makeAction(outputs, files) {
  const source = join(root, ".github/actions/top-up");
  for (const name of ["action.yml", "index.js"]) await write(`action/${name}`, await readFile(join(source, name)));
  await writeJson("action/package.json", { private: true, type: "module" });
  await write("action/LICENSE", await readFile(join(root, "LICENSE")));
  await copyFile(join(made, "THIRD-PARTY-LICENSES.txt"), join(made, "action/THIRD-PARTY-LICENSES.txt"));
  const loaded = new Set(["main", "keyring", "step"].map((entry) => `dist/${entry}.js`));
  for (const file of loaded) {
    for (const { path } of outputs[file].imports) {
      if (outputs[path] && !outputs[path].entryPoint?.startsWith("src/backend/")) loaded.add(path);
    }
  }
  for (const file of loaded) {
    const name = relative("dist", file);
    await write(`action/program/${name}`, files.get(name));
  }
}

/** Puts what was made in the place of what is there, which another build may do at the same time. */
async function publish() {
  for (let attempt = 0; attempt < 10; attempt += 1) {
    await rm(old, { recursive: true, force: true });
    await rename(dist, old).catch(unless("ENOENT"));
    if ((await rename(made, dist).catch(unless("ENOTEMPTY", "EEXIST", "EPERM"))) === undefined) return;
  }
  throw new Error(`Another program keeps writing to ${dist}.`);
}

/** A handler of errors that gives those with one of these codes, and throws any other. */
function unless(...codes) {
  return (error) => {
    if (codes.includes(error.code)) return error;
    throw error;
  };
}

/** What the bundled program prints for each argument alone, whatever the environment. */
async function answers(args) {
  const { createContext, main } = await import(pathToFileURL(join(made, "main.js")).href);
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
  const outfile = join(made, `${crypto.randomUUID()}.mjs`);
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
  await write(file, `${JSON.stringify(value, null, 2)}\n`);
}

async function write(file, content) {
  await mkdir(dirname(join(made, file)), { recursive: true });
  await writeFile(join(made, file), content);
}
