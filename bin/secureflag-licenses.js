#!/usr/bin/env node
// CommonJS: versions of Node.js that are too old can read it (down to 10), and loading modules takes a fifth of a start.
const [major, minor, patch] = process.versions.node.split(".").map(Number);

if (major < 20 || (major === 20 && (minor < 18 || (minor === 18 && patch < 1)))) {
  process.stderr.write(`secureflag-licenses needs Node.js 20.18.1 or newer; this is ${process.versions.node}.\n`);
  process.exitCode = 2;
} else {
  const args = process.argv.slice(2);
  if (args.length !== 1 || !answer(known(args[0]))) run(args);
}

/** What the build has written down: the version, and the help as it is where no terminal decides on width and color. */
function known(argument) {
  const isVersion = argument === "--version" || argument === "-V";
  return isVersion || isPlain() ? require("../dist/answers.json")[argument] : undefined;
}

/** Whether nobody asks for color. */
function isPlain() {
  const { isatty } = require("node:tty");
  return !isatty(1) && !isatty(2) && process.env.FORCE_COLOR === undefined;
}

/** Prints it; whatever is in the way, the program itself deals with. */
function answer(text) {
  try {
    return typeof text === "string" && require("node:fs").writeSync(1, text) === Buffer.byteLength(text);
  } catch (_) {
    return false;
  }
}

function run(args) {
  const isVerbose = args.includes("-v") || args.includes("--verbose");
  if (args.includes("--json") && !isVerbose) silenceNode();
  keepCompiledCode();
  // Should nothing be left to wait for before the command has ended, that is no success.
  process.exitCode = 1;
  import("../dist/main.js").then(async ({ createContext, main }) => {
    process.exitCode = await main(args, createContext());
  });
}

/** Keeps Node's own warnings off a stderr that holds one JSON document or nothing. They are emitted after this. */
function silenceNode() {
  for (const listener of process.listeners("warning")) {
    if (listener.name === "onWarning") process.removeListener("warning", listener);
  }
}

/** Lets a Node.js that can (22 and newer) keep what it compiled: where nobody else can put code that would then run. */
function keepCompiledCode() {
  const { enableCompileCache } = require("node:module");
  if (!enableCompileCache) return;
  const { join } = require("node:path");
  try {
    const caches = process.env.XDG_CACHE_HOME || join(require("node:os").homedir(), ".cache");
    const place = join(caches, "secureflag-licenses");
    require("node:fs").mkdirSync(place, { recursive: true, mode: 0o700 });
    enableCompileCache(place);
  } catch (_) {
    // Without it a start takes a little longer.
  }
}
