/**
 * Measures the budgets of the project: `npm run bench -- [--only <name>] [--all] [--peers]`. Prints each beside its goal,
 * and writes everything that was measured to `.bench/`. A budget that is exceeded fails nothing; one that could not be
 * measured does.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ROOT, removePlaces } from "../support/places.ts";
import { type Budget, type Figure, isWithin } from "./budget.ts";
import { peersBudget } from "./peers.ts";
import { purchaseBudgets } from "./purchases.ts";
import { sizeBudget } from "./size.ts";
import { startBudgets } from "./starts.ts";
import { testsBudget } from "./tests.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    all: { type: "boolean", default: false },
    peers: { type: "boolean", default: false },
  },
});
const all: readonly Budget[] = [
  ...startBudgets,
  ...purchaseBudgets,
  sizeBudget,
  peersBudget(values.peers),
  testsBudget,
];
const unknown = values.only?.find((name) => !all.some((budget) => budget.name === name));
if (unknown) throw new TypeError(`--only takes one of ${all.map(({ name }) => name).join(", ")}, not ${unknown}`);

const date = new Date().toISOString();
const figures: Figure[] = [];
try {
  for (const budget of all) if (isChosen(budget)) await run(budget);
} finally {
  await removePlaces();
  await keep();
}

function isChosen({ name, isSlow }: Budget): boolean {
  return values.only ? values.only.includes(name) : !isSlow || values.all || (name === "peers" && values.peers);
}

async function run(budget: Budget): Promise<void> {
  try {
    for (const figure of await budget.measure(console.log)) {
      figures.push(figure);
      console.log(lineOf(figure));
    }
  } catch (error) {
    process.exitCode = 1;
    console.log(`${budget.name}: could not be measured: ${error instanceof Error ? error.message : error}`);
  }
}

function lineOf(figure: Figure): string {
  const { name, value, unit, goal } = figure;
  const shown = `${value.toFixed(Number.isInteger(value) ? 0 : 2)} ${unit}`;
  const outcome = Number.isFinite(goal) ? `(≤ ${goal})`.padEnd(10) + (isWithin(figure) ? "ok" : "over") : "(no goal)";
  return `${`${name}:`.padEnd(17)} ${shown.padEnd(40)} ${outcome}`;
}

/** The machine-readable record. */
async function keep(): Promise<void> {
  const folder = join(ROOT, ".bench");
  await mkdir(folder, { recursive: true });
  const { version, platform, arch } = process;
  const record = { date, node: version, platform, arch, cpus: cpus().length, figures };
  const file = join(folder, `${date.replaceAll(":", "-")}.json`);
  await writeFile(file, `${JSON.stringify(record, null, 2)}\n`);
}
