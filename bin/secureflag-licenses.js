#!/usr/bin/env node
// CommonJS: versions of Node.js that are too old can read it (down to 10), and loading modules takes a fifth of a start.
const [major, minor, patch] = process.versions.node.split(".").map(Number);

if (major < 20 || (major === 20 && (minor < 18 || (minor === 18 && patch < 1)))) {
  process.stderr.write(`secureflag-licenses needs Node.js 20.18.1 or newer; this is ${process.versions.node}.\n`);
  process.exitCode = 2;
} else {
  const args = process.argv.slice(2);
  if (args.length !== 1 || !answer(require("../dist/answers.json")[args[0]])) run(args);
}

/** Prints what the build knows already, such as the version. Whatever is in the way, the program itself deals with. */
function answer(text) {
  try {
    return typeof text === "string" && require("node:fs").writeSync(1, text) === Buffer.byteLength(text);
  } catch (_) {
    return false;
  }
}

function run(args) {
  const { enableCompileCache } = require("node:module");
  if (enableCompileCache) enableCompileCache();
  // Should nothing be left to wait for before the command has ended, that is no success.
  process.exitCode = 1;
  import("../dist/main.js").then(async ({ createContext, main }) => {
    process.exitCode = await main(args, createContext());
  });
}
