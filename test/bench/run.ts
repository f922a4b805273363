import { mkdir, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { ROOT, removePlaces } from "../support/places.ts";
import { type Budget, type Figure, isWithin } from "./budget.ts";

/**
 * Measures budgets one after the other, prints each figure beside its goal, and writes everything that was measured to
 * `.bench/`. A budget that is exceeded fails nothing; one that could not be measured does.
 *
 * @param suffix of the name of the record, to tell programs apart
 */
export async function runBudgets(budgets: readonly Budget[], suffix = ""): Promise<void> {
  const date = new Date().toISOString();
  const figures: Figure[] = [];
  try {
    for (const budget of budgets) figures.push(...(await measured(budget)));
  } finally {
    await removePlaces();
    await keep(figures, date, suffix);
  }
}

/**
 * Checks the names that `--only` has.
 *
 * @throws TypeError for one that no budget has
 */
export function assertKnown(names: readonly string[], all: readonly Budget[]): void {
  const unknown = names.find((name) => !all.some((budget) => budget.name === name));
  if (unknown) throw new TypeError(`--only takes one of ${all.map(({ name }) => name).join(", ")}, not ${unknown}`);
}

async function measured(budget: Budget): Promise<readonly Figure[]> {
  try {
    const figures = await budget.measure(console.log);
    for (const figure of figures) console.log(lineOf(figure));
    return figures;
  } catch (error) {
    process.exitCode = 1;
    console.log(`${budget.name}: could not be measured: ${error instanceof Error ? error.message : error}`);
    return [];
  }
}

function lineOf(figure: Figure): string {
  const { name, value, unit, goal, isFloor } = figure;
  const shown = `${value.toFixed(Number.isInteger(value) ? 0 : value < 0.1 ? 4 : 2)} ${unit}`;
  const miss = isFloor ? "under" : "over";
  const outcome = Number.isFinite(goal)
    ? `(${isFloor ? "≥" : "≤"} ${goal})`.padEnd(10) + (isWithin(figure) ? "ok" : miss)
    : "(no goal)";
  return `${`${name}:`.padEnd(17)} ${shown.padEnd(40)} ${outcome}`;
}

/** The machine-readable record. */
async function keep(figures: readonly Figure[], date: string, suffix: string): Promise<void> {
  const folder = join(ROOT, ".bench");
  await mkdir(folder, { recursive: true });
  const { version, platform, arch } = process;
  const record = { date, node: version, platform, arch, cpus: cpus().length, figures };
  const file = join(folder, `${date.replaceAll(":", "-")}${suffix}.json`);
  await writeFile(file, `${JSON.stringify(record, null, 2)}\n`);
}
