#!/usr/bin/env node
// CommonJS: versions of Node.js that are too old can read it (down to 10), and loading modules takes a fifth of a start.
const ISSUES = "https://github.com/secureflag/secureflag-licenses/issues";
const [major, minor, patch] = process.versions.node.split(".").map(Number);

if (major < 20 || (major === 20 && (minor < 18 || (minor === 18 && patch < 1)))) {
  process.stderr.write(`secureflag-licenses needs Node.js 20.18.1 or newer; this is ${process.versions.node}.\n`);
  process.exitCode = 2;
} else {
  const args = process.argv.slice(2);
  if (args.length !== 1 || !answer(args[0])) run(args);
}

/** What the build has written down: the version, and the help as it is where no terminal decides on width and color. */
function known(argument) {
  const isVersion = ["--version", "-V", "version"].includes(argument);
  return isVersion || isPlain() ? require("../dist/answers.json")[argument] : undefined;
}

/** Whether neither a terminal nor a variable decides width and color. */
function isPlain() {
  const { COLUMNS, FORCE_COLOR } = process.env;
  return !isTerminal(1) && !isTerminal(2) && COLUMNS === undefined && FORCE_COLOR === undefined;
}

/** Only a character device may be one, so that most starts do not load what can tell. */
function isTerminal(fd) {
  return require("node:fs").fstatSync(fd).isCharacterDevice() && require("node:tty").isatty(fd);
}

/** Prints what is known; whatever is in the way, the program itself deals with. */
function answer(argument) {
  try {
    const text = known(argument);
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
  import("../dist/main.js")
    .then(async ({ createContext, main }) => {
      const context = createContext();
      process.exitCode = await main(args, context);
      if (context.leavesWork) process.exit();
    })
    .catch((error) => tellFailure(args, error));
}

/** Keeps Node's own warnings off a stderr that holds one JSON document or nothing. They are emitted after this. */
function silenceNode() {
  for (const listener of process.listeners("warning")) {
    if (listener.name === "onWarning") process.removeListener("warning", listener);
  }
}

/** Reports why the program itself cannot run, such as an installation that is not whole. */
function tellFailure(args, error) {
  const message = `secureflag-licenses cannot run: ${error instanceof Error ? error.message : error}`;
  const hint = `Install it again, or report this, with what \`node --version\` prints, at ${ISSUES}.`;
  const told = { error: { code: "defect", message, hint, exitCode: 1, requestId: null } };
  const text = args.includes("--json") ? JSON.stringify(told, null, 2) : `Error: ${message}\n${hint}`;
  try {
    require("node:fs").writeSync(2, `${text}\n`);
  } catch (_) {
    // The failure cannot be reported.
  }
}

/** Lets a Node.js that can (22 and newer) keep what it compiled. Without it a start takes a little longer, no more. */
function keepCompiledCode() {
  const { enableCompileCache } = require("node:module");
  if (!enableCompileCache || process.env.NODE_DISABLE_COMPILE_CACHE) return;
  try {
    const folder = cacheFolder();
    if (folder !== null) enableCompileCache(folder);
  } catch (_) {
    // There is no home, or no folder can be made.
  }
}

/** A folder of this user alone, so that no other user can put code there that would then run; else `null`. */
function cacheFolder() {
  const { lstatSync } = require("node:fs");
  const places = cachePlaces();
  const folder = places[places.length - 1];
  // One by one: where no folder can be made, such as in /proc, a recursive mkdir goes round forever.
  for (const each of places) makeFolder(each);
  const stats = lstatSync(folder);
  if (!process.getuid) return folder;
  return stats.isDirectory() && stats.uid === process.getuid() && (stats.mode & 0o022) === 0 ? folder : null;
}

/** The platform's folder of caches and ours in it: each that may have to be made, one below the other. */
function cachePlaces() {
  const { isAbsolute, join } = require("node:path");
  const name = "secureflag-licenses";
  if (process.platform === "darwin") {
    const caches = join(home(), "Library", "Caches");
    return [caches, join(caches, name)];
  }
  if (process.platform === "win32") {
    const { LOCALAPPDATA = "" } = process.env;
    const own = join(isAbsolute(LOCALAPPDATA) ? LOCALAPPDATA : join(home(), "AppData", "Local"), name);
    return [own, join(own, "Cache")];
  }
  // XDG Base Directory Specification: a relative path is ignored.
  const { XDG_CACHE_HOME = "" } = process.env;
  const caches = isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(home(), ".cache");
  return [caches, join(caches, name)];
}

function home() {
  const { homedir, userInfo } = require("node:os");
  const { isAbsolute } = require("node:path");
  const { HOME } = process.env;
  return HOME !== undefined && !isAbsolute(HOME) ? userInfo().homedir : homedir();
}

/** Makes a folder where it is missing, unless that would leave one of root's in another user's home. */
function makeFolder(folder) {
  const { mkdirSync, statSync } = require("node:fs");
  const { dirname } = require("node:path");
  if (statSync(folder, { throwIfNoEntry: false })) return;
  if (process.getuid && process.getuid() === 0 && statSync(dirname(folder)).uid !== 0) return;
  mkdirSync(folder, { mode: 0o700 });
}
