const { getRawAsset } = require("node:sea");
const { Script } = require("node:vm");

/** Runs a program that is inside the executable (.config/executable.mjs), from code that the build has compiled. */
exports.load = (name) => {
  // The build writes nothing but ASCII. Each is read where it is in the memory of the executable.
  const source = Buffer.from(getRawAsset(name)).latin1Slice();
  const script = new Script(source, { filename: name, cachedData: Buffer.from(getRawAsset(`${name}.code`)) });
  const module = { exports: {} };
  script.runInThisContext()(require, module);
  return module.exports;
};
