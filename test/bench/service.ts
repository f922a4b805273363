/**
 * Measures the budgets of the service on PostgreSQL: `npm run bench:service [-- --only <name>]`. Starts a server of its own,
 * prints each figure beside its goal, and writes everything that was measured to `.bench/`. Takes about five minutes.
 */
import { parseArgs } from "node:util";
import type { Budget } from "./budget.ts";
import { assertKnown, runBudgets } from "./run.ts";
import { type Cluster, startCluster } from "./service/cluster.ts";
import { measureGrowth } from "./service/growth.ts";
import { measureThroughput } from "./service/throughput.ts";

const { values } = parseArgs({ options: { only: { type: "string", multiple: true } } });
const all: readonly Budget[] = [
  { name: "purchase-throughput", isSlow: true, measure: () => onCluster(measureThroughput) },
  { name: "growth", isSlow: true, measure: () => onCluster(measureGrowth) },
];
assertKnown(values.only ?? [], all);
await runBudgets(
  all.filter(({ name }) => values.only?.includes(name) ?? true),
  "-service",
);

async function onCluster<Result>(measure: (cluster: Cluster) => Promise<Result>): Promise<Result> {
  const cluster = await startCluster();
  try {
    return await measure(cluster);
  } finally {
    await cluster.stop();
  }
}
