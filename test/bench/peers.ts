import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, realpath } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { BIN, clearedEnvironment, ROOT, temporaryDirectory } from "../support/places.ts";
import type { Budget, Figure } from "./budget.ts";
import { type Runner, race, ratio } from "./race.ts";

/** Programs of the same kind, and the package of those that npm installs. */
const PEERS: Readonly<Record<string, string | null>> = {
  gh: null,
  stripe: null,
  heroku: "heroku",
  netlify: "netlify-cli",
  wrangler: "wrangler",
};

const FOLDER = join(ROOT, ".bench", "peers");

/**
 * `--version` and `--help` beside other programs where they are installed. Only those that run on Node.js count; what
 * others take is shown.
 *
 * @param install whether those that npm installs are installed into `.bench/peers` first
 */
export function peersBudget(install: boolean): Budget {
  return {
    name: "peers",
    isSlow: install,
    async measure(say) {
      if (install) await installPeers();
      const found = await findPeers();
      const missing = Object.keys(PEERS).filter((name) => !Object.hasOwn(found, name));
      if (missing.length > 0) say(`peers: ${missing.join(", ")} are not installed and left out`);
      return Object.keys(found).length === 0 ? [] : await measurePeers(found);
    },
  };
}

async function installPeers(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  const packages = Object.values(PEERS).filter((name) => name !== null);
  await promisify(execFile)("npm", ["install", "--prefix", FOLDER, "--no-audit", "--no-fund", ...packages]);
}

/** A peer's command line, without arguments. */
interface Peer {
  readonly command: readonly string[];
  readonly isOnNode: boolean;
}

async function findPeers(): Promise<Record<string, Peer>> {
  const folders = [join(FOLDER, "node_modules", ".bin"), ...(process.env.PATH ?? "").split(delimiter)];
  const found: Record<string, Peer> = {};
  for (const name of Object.keys(PEERS)) {
    const path = folders.map((folder) => join(folder, name)).find((candidate) => existsSync(candidate));
    if (path) found[name] = await peerAt(await realpath(path));
  }
  return found;
}

async function peerAt(path: string): Promise<Peer> {
  const isOnNode = /^#!.*\bnode\b/.test((await readFile(path, "latin1")).slice(0, 100));
  return { command: isOnNode ? [process.execPath, path] : [path], isOnNode };
}

async function measurePeers(found: Record<string, Peer>): Promise<Figure[]> {
  const env = clearedEnvironment(await temporaryDirectory());
  const figures: Figure[] = [];
  for (const flag of ["--version", "--help"]) {
    const runner = ([file = "", ...args]: readonly string[]): Runner => ({
      file,
      args: [...args, flag],
      env,
      until: "end",
    });
    const peers = Object.entries(found).map(([name, { command }]) => [name, runner(command)] as const);
    const samples = await race<string>({ ours: runner([process.execPath, BIN]), ...Object.fromEntries(peers) });
    for (const [name, { isOnNode }] of Object.entries(found)) {
      const [ours = [], theirs = []] = [samples.ours, samples[name]];
      const unit = `× ${name} ${flag}${isOnNode ? "" : ", which runs without Node.js"}`;
      figures.push({
        name: "peers",
        value: ratio(ours, theirs),
        unit,
        goal: isOnNode ? 1 : Infinity,
        samples: { ours, theirs },
      });
    }
  }
  return figures;
}
