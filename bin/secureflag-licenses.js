#!/usr/bin/env node
import module from "node:module";

const [major, minor, patch] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && (minor < 18 || (minor === 18 && patch < 1)))) {
  process.stderr.write(`secureflag-licenses needs Node.js 20.18.1 or newer; this is ${process.versions.node}.\n`);
  process.exitCode = 2;
} else {
  module.enableCompileCache?.();
  // Should nothing be left to wait for before the command has ended, that is no success.
  process.exitCode = 1;
  const { createContext, main } = await import("../dist/main.js");
  process.exitCode = await main(process.argv.slice(2), createContext());
}
