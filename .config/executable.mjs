/**
 * Makes the executable that needs no Node.js: Node.js 24 with the program inside (single executable applications). What
 * runs is bundled from the same sources as `dist/`, in CommonJS because such a program can import no modules, and compiled
 * beforehand, so that a start compiles nothing.
 */
import { execFile } from "node:child_process";
import { chmod, copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { root } from "./built.mjs";
import { lean } from "./lean.mjs";
import { FUSE } from "./node24.mjs";
import { FONT } from "./packages.mjs";

const run = promisify(execFile);

/** The files of `dist/` that the program reads (src/backend/shipped.ts). */
const SHIPPED = ["schema.sql", "fonts/DejaVuSans.ttf"];

/** What V8 compiles depends on a random number, and so would the bytes of the executable. */
const SAME_CODE = "--random-seed=1";

/** A function, so that each has names of its own and is given what a file would be. */
const wrapped = {
  banner: { js: "(function (require, module) {" },
  footer: { js: "})" },
};

const shared = {
  absWorkingDir: root,
  write: false,
  bundle: true,
  metafile: true,
  platform: "node",
  format: "cjs",
  target: "node24",
  // No file can be imported inside; what is not Node's own is never asked for there.
  supported: { "dynamic-import": false },
  minifySyntax: true,
  minifyWhitespace: true,
  // Stack traces can be read.
  minifyIdentifiers: false,
  external: ["libsql", "@napi-rs/keyring", "pg-native"],
  // Packages installed next to the executable are found, such as fonts.
  define: { "import.meta.url": "EXECUTABLE_URL" },
};

/**
 * Makes the executable for the system that this runs on.
 *
 * @param node what `findNode24` gives
 * @param target the file to make
 * @param work an empty folder
 * @returns the names of the files that are inside, from the top of the checkout, as esbuild knows them
 */
export async function makeExecutable(node, target, work) {
  const programs = await Promise.all([
    bundled("program.js", "src/cli/main.ts"),
    bundled("keyring.js", "src/cli/connection/keyringProcess.ts"),
  ]);
  const assets = Object.fromEntries(SHIPPED.map((name) => [name, join(root, "dist", name)]));
  for (const { name, code } of programs) {
    assets[name] = join(work, name);
    await writeFile(assets[name], code);
    assets[`${name}.code`] = await compiled(node, assets[name], work);
  }
  const native = await nativeKeyring();
  assets["keyring.node"] = join(root, native);
  const start = await bundledStart();
  await writeFile(join(work, "start.js"), start.code);
  await assemble(node, target, work, { main: "start.js", assets });
  return [...programs, start].flatMap(({ inputs }) => inputs).concat(native, FONT);
}

async function bundled(name, entryPoint) {
  const banner = {
    js: `${wrapped.banner.js}const EXECUTABLE_URL = require("node:url").pathToFileURL(process.execPath).href;`,
  };
  const result = await build({ ...shared, ...wrapped, banner, entryPoints: [entryPoint], plugins: [lean] });
  return { name, ...contentOf(result) };
}

/** What `bin/` does, with the program inside in the place of the one in `dist/`. */
function bundledStart() {
  const inside = {
    name: "inside",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.\.\/dist\/main\.js$/ }, () => ({ path: "program", namespace: "inside" }));
      onLoad({ filter: /^/, namespace: "inside" }, () => ({
        contents: 'module.exports = require("./inside.js").load("program.js");',
        resolveDir: join(root, "bin"),
      }));
    },
  };
  // What it compiled is inside already: nothing is kept on disk.
  const define = { "process.env.NODE_DISABLE_COMPILE_CACHE": '"1"' };
  return build({ ...shared, define, entryPoints: ["bin/executable.js"], plugins: [inside] }).then(contentOf);
}

function contentOf({ outputFiles: [file], metafile }) {
  return { code: file.text, inputs: Object.keys(metafile.inputs) };
}

/** Compiles a program with the Node.js that will run it, together with everything that a first command runs. */
async function compiled(node, file, work) {
  const target = `${file}.code`;
  const script = `
    const { readFileSync, writeFileSync } = require("node:fs");
    const { basename } = require("node:path");
    const { Script } = require("node:vm");
    const [file, target] = process.argv.slice(1);
    const script = new Script(readFileSync(file, "latin1"), { filename: basename(file) });
    const module = { exports: {} };
    const run = script.runInThisContext();
    if (basename(file) === "program.js") run(require, module);
    writeFileSync(target, script.createCachedData());
  `;
  await run(node.file, [SAME_CODE, "-e", script, file, target], { cwd: work, env: {} });
  return target;
}

/** The native library of the keyring for this system, from the top of the checkout. */
async function nativeKeyring() {
  const folder = "node_modules/@napi-rs";
  const names = (await readdir(join(root, folder))).filter((name) => name.startsWith("keyring-"));
  const packages = await Promise.all(
    names.map(async (name) => [name, JSON.parse(await readFile(join(root, folder, name, "package.json"), "utf8"))]),
  );
  const fits = ([, { os, cpu, libc }]) =>
    os.includes(process.platform) && cpu.includes(process.arch) && (libc ?? ["glibc"]).includes("glibc");
  const [name, { main }] = packages.find(fits) ?? [];
  if (!name) throw new Error("The optional package @napi-rs/keyring is not installed for this system.");
  return `${folder}/${name}/${main}`;
}

async function assemble(node, target, work, { main, assets }) {
  const blob = join(work, "blob");
  const options = {
    // Named as in stack traces, and so without the folder.
    main,
    output: "blob",
    assets,
    useCodeCache: true,
    disableExperimentalSEAWarning: true,
    // NODE_OPTIONS are meant for another Node.js: an option that this one lacks, or a file that is not here, would end it.
    execArgvExtension: "none",
  };
  await writeFile(join(work, "sea.json"), JSON.stringify(options));
  await run(node.file, [SAME_CODE, "--experimental-sea-config", "sea.json"], { cwd: work });
  const isMac = process.platform === "darwin";
  await copyFile(node.file, target);
  await chmod(target, 0o755);
  // The signature of Node.js alone would be wrong then, and macOS on ARM runs nothing unsigned.
  if (isMac) await run("codesign", ["--remove-signature", target]);
  const segment = isMac ? ["--macho-segment-name", "NODE_SEA"] : [];
  const cli = fileURLToPath(import.meta.resolve("postject/dist/cli.js"));
  // A process of its own, because it warns of sections that every Node.js has.
  await run(process.execPath, [cli, target, "NODE_SEA_BLOB", blob, "--sentinel-fuse", FUSE, ...segment]);
  if (isMac) await run("codesign", ["--sign", "-", target]);
}
