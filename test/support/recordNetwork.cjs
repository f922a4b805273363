// Loaded with `NODE_OPTIONS=--require`: writes every address that a process looks up, connects to or sends to, and every
// program that it starts, to the file that RECORD_NETWORK names, a line each.
const childProcess = require("node:child_process");
const dgram = require("node:dgram");
const dns = require("node:dns");
const { appendFileSync } = require("node:fs");
const { syncBuiltinESMExports } = require("node:module");
const net = require("node:net");

/** Records what a method is called with, before it is. */
function watch(object, method, describe) {
  const original = object[method];
  object[method] = function (...args) {
    appendFileSync(process.env.RECORD_NETWORK, `${describe(args)}\n`);
    return original.apply(this, args);
  };
}

const placeOf = ([given]) => {
  const [{ host, port, path } = {}] = Array.isArray(given) ? given : [given];
  return `connect ${path ?? `${host}:${port}`}`;
};

watch(net.Socket.prototype, "connect", placeOf);
watch(dgram.Socket.prototype, "send", (args) => `send ${args.filter((arg) => typeof arg !== "object").join(" ")}`);
for (const resolver of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
  for (const method of ["lookup", "lookupService", "resolve", "resolve4", "resolve6", "resolveAny", "resolveSrv"]) {
    if (resolver[method]) watch(resolver, method, ([name]) => `look up ${name}`);
  }
}
watch(childProcess.ChildProcess.prototype, "spawn", ([{ file }]) => `start ${file}`);
syncBuiltinESMExports();
