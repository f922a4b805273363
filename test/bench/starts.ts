import { join } from "node:path";
import { EXECUTABLE, ensurePackaged, nodeInside } from "../support/executable.ts";
import { BIN, clearedEnvironment, ROOT, temporaryDirectory } from "../support/places.ts";
import { environmentFor, startSandbox } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import type { Budget } from "./budget.ts";
import { type Runner, race, ratio } from "./race.ts";

/** What every start is measured against: Node.js that does nothing. */
const NOTHING = ["-e", "0"];

/** `--version` and `--help` beside Node.js itself. */
export const startBudgets: readonly Budget[] = [
  againstNode("start-version", 1.15, [BIN, "--version"], "end"),
  againstNode("start-help", 1.12, [BIN, "--help"], "end"),
  againstNode("sandbox-ready", 6, [BIN, "sandbox", "--ephemeral", "--port", "0", "--json"], "line"),
  executableBudget(),
  againstUndici("status-overhead", 1.1, ["status", "--json"], "bareStatus.mjs", "a bare GET with undici"),
  againstUndici("buy-overhead", 1.15, ["buy", "1", "--yes", "--json"], "bareBuy.mjs", "its three requests with undici"),
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

/** `--version` of the executable that needs no Node.js beside the Node.js that is inside. */
function executableBudget(): Budget {
  const name = "executable-version";
  return {
    name,
    isSlow: false,
    measure: async () => {
      await ensurePackaged();
      const env = clearedEnvironment(await temporaryDirectory());
      const samples = await race({
        program: { file: EXECUTABLE, args: ["--version"], env, until: "end" },
        node: { file: await nodeInside(), args: NOTHING, env, until: "end" },
      });
      return [{ name, value: ratio(samples.program, samples.node), unit: "× node -e 0 of it", goal: 1.3, samples }];
    },
  };
}

/** Measures a command beside a script that sends the same requests and prints what comes. */
function againstUndici(name: string, goal: number, command: readonly string[], script: string, what: string): Budget {
  return {
    name,
    isSlow: false,
    measure: async () => {
      const sandbox = await startSandbox({ seed: seed(organization(1)) });
      try {
        const connected = environmentFor(sandbox.ready.url, 1);
        const bare = Object.fromEntries(
          Object.entries(connected).map(([variable, value]) => [variable.replace("SECUREFLAG_", ""), value]),
        );
        const env = clearedEnvironment(await temporaryDirectory(), { ...connected, ...bare });
        const samples = await race({
          program: { file: process.execPath, args: [BIN, ...command], env, until: "end" },
          bare: { file: process.execPath, args: [join(ROOT, "test/bench", script)], env, until: "end" },
        });
        return [{ name, value: ratio(samples.program, samples.bare), unit: `× ${what}`, goal, samples }];
      } finally {
        await sandbox.stop();
      }
    },
  };
}
