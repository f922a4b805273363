/**
 * Measures the budgets of the project: `npm run bench -- [--only <name>] [--all] [--peers]`. Prints each beside its goal,
 * and writes everything that was measured to `.bench/`. A budget that is exceeded fails nothing; one that could not be
 * measured does.
 */
import { parseArgs } from "node:util";
import type { Budget } from "./budget.ts";
import { peersBudget } from "./peers.ts";
import { purchaseBudgets } from "./purchases.ts";
import { assertKnown, runBudgets } from "./run.ts";
import { sandboxPurchasesBudget } from "./sandboxPurchases.ts";
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
  sandboxPurchasesBudget,
  sizeBudget,
  peersBudget(values.peers),
  testsBudget,
];
assertKnown(values.only ?? [], all);
await runBudgets(all.filter(isChosen));

function isChosen({ name, isSlow }: Budget): boolean {
  return values.only ? values.only.includes(name) : !isSlow || values.all || (name === "peers" && values.peers);
}
