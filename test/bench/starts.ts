import { join } from "node:path";
import { BIN, clearedEnvironment, ROOT, temporaryDirectory } from "../support/places.ts";
import { environmentFor, startSandbox } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import type { Budget, Figure } from "./budget.ts";
import { type Runner, race, ratio } from "./race.ts";

const BARE_STATUS = join(ROOT, "test/bench/bareStatus.mjs");

/** What every start is measured against: Node.js that does nothing. */
const NOTHING = ["-e", "0"];

/** `--version` and `--help` beside Node.js itself. */
export const startBudgets: readonly Budget[] = [
  againstNode("start-version", 1.15, [BIN, "--version"], "end"),
  againstNode("start-help", 1.35, [BIN, "--help"], "end"),
  againstNode("sandbox-ready", 6, [BIN, "sandbox", "--ephemeral", "--port", "0", "--json"], "line"),
  { name: "status-overhead", isSlow: false, measure: measureStatus },
];

function againstNode(name: string, goal: number, args: readonly string[], until: Runner["until"]): Budget {
  return {
    name,
    isSlow: false,
    measure: async () => {
      const env = clearedEnvironment(await temporaryDirectory());
      const samples = await race({
        program: { file: process.execPath, args, env, until },
        node: { file: process.execPath, args: NOTHING, env, until: "end" },
      });
      return [{ name, value: ratio(samples.program, samples.node), unit: "× node -e 0", goal, samples }];
    },
  };
}

async function measureStatus(): Promise<Figure[]> {
  const sandbox = await startSandbox({ seed: seed(organization(1)) });
  try {
    const connected = environmentFor(sandbox.ready.url, 1);
    const bare = Object.fromEntries(
      Object.entries(connected).map(([name, value]) => [name.replace("SECUREFLAG_", ""), value]),
    );
    const env = clearedEnvironment(await temporaryDirectory(), { ...connected, ...bare });
    const samples = await race({
      status: { file: process.execPath, args: [BIN, "status", "--json"], env, until: "end" },
      bare: { file: process.execPath, args: [BARE_STATUS], env, until: "end" },
    });
    const value = ratio(samples.status, samples.bare);
    return [{ name: "status-overhead", value, unit: "× a bare GET with undici", goal: 1.25, samples }];
  } finally {
    await sandbox.stop();
  }
}
