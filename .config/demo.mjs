/**
 * The whole job against a sandbox, with the built program that people install: sign in, look, quote, confirm, buy.
 * `--program <file>` does it with an executable instead. Everything it needs is in a temporary directory that it removes;
 * nothing is left behind.
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import ensureBuilt, { root } from "./built.mjs";

const { values } = parseArgs({ options: { program: { type: "string" } } });
if (values.program === undefined) await ensureBuilt();
const [file, ...first] = values.program
  ? [resolve(values.program)]
  : [process.execPath, join(root, "bin/secureflag-licenses.js")];
const home = await mkdtemp(join(tmpdir(), "secureflag-licenses-demo-"));
const mayAsk = Boolean(process.stdin.isTTY && process.stderr.isTTY && !process.env.CI);
const env = { ...process.env, SECUREFLAG_CONFIG_DIR: home, NODE_DISABLE_COMPILE_CACHE: "1" };
for (const name of ["API_TOKEN", "API_URL", "ORGANIZATION", "PROFILE"]) delete env[`SECUREFLAG_${name}`];

// Ctrl-C reaches every program of the terminal: each ends by itself, and what follows cleans up after them.
process.on("SIGINT", () => {});

const sandbox = spawn(file, [...first, "sandbox", "--ephemeral", "--port", "0", "--json"], {
  stdio: ["ignore", "pipe", "inherit"],
  detached: true,
  env,
});
try {
  process.exitCode = await demonstrate();
} finally {
  await stop();
  await rm(home, { recursive: true, force: true });
}

async function demonstrate() {
  const [line] = await firstOf(createInterface({ input: sandbox.stdout }));
  const { url, admin } = JSON.parse(line);
  env.SECUREFLAG_API_URL = url;
  env.SECUREFLAG_PROFILE = "demo";
  say("A sandbox runs on this machine: a billing backend with one organization, and no real money.");

  const signIn = ["login", "--email", admin.email, "--password-stdin", "--insecure-storage"];
  const code =
    (await run(signIn, `${admin.password}\n`)) ||
    (await run(["status"])) ||
    (await run(["quote", "5", "--explain"])) ||
    (await purchase()) ||
    (await run(["status"]));
  await run(["logout"]);
  return code;
}

function purchase() {
  if (mayAsk) return run(["buy", "5"]);
  say("Nobody can be asked here, so --yes goes on because this is the demo.");
  return run(["buy", "5", "--yes"]);
}

/** Runs the program as a person would; gives its exit code. */
async function run(args, input) {
  say(`$ secureflag-licenses ${args.join(" ")}`);
  const stdin = input === undefined ? "inherit" : "pipe";
  const child = spawn(file, [...first, ...args], { stdio: [stdin, "inherit", "inherit"], env });
  child.stdin?.end(input);
  const [code] = await firstOf(child, "exit");
  return code ?? 1;
}

async function stop() {
  if (sandbox.exitCode !== null) return;
  sandbox.kill("SIGTERM");
  await firstOf(sandbox, "exit");
}

/** The next event of an emitter; the end of the sandbox ends the wait too. */
function firstOf(emitter, event = "line") {
  return new Promise((resolve, reject) => {
    emitter.once(event, (...values) => resolve(values));
    if (event === "line")
      sandbox.once("exit", (code) => reject(new Error(`The sandbox ended with exit code ${code}.`)));
  });
}

function say(text) {
  process.stdout.write(`\n${text}\n`);
}
