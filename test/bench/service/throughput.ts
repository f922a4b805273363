import { type Figure, median, percentile } from "../budget.ts";
import { buyUnderLoad, type Load, type LoadResult } from "../load.ts";
import { type Cluster, cpuSeconds } from "./cluster.ts";
import { createOrganizations, type Serving, ServingError, serve } from "./serving.ts";

/** A multiple of the connections, so that no two of them buy for the same organization at once. */
const ORGANIZATIONS = 416;
const CONNECTIONS = 32;
const ROUNDS = 3;
const SECONDS = 8;
const WARM_UP_SECONDS = 4;

/** What a round took of the processor, per settled purchase, in milliseconds. */
interface Costs {
  readonly database: number;
  readonly service: number;
  readonly client: number;
}

/**
 * Measures what the service sells per second beside what `pgbench` does on the same server, in turns, and then how it
 * answers quotes at half of that load, and rivals for one organization.
 */
export async function measureThroughput(cluster: Cluster): Promise<Figure[]> {
  await createOrganizations(cluster, "selling", ORGANIZATIONS);
  await cluster.query("postgres", "create database pgbench");
  await cluster.run("pgbench", ["-i", "-q", "-s", "10", "pgbench"]);
  const serving = await serve(cluster, "selling");
  try {
    const everybody = { url: serving.url, connections: CONNECTIONS, first: 1, organizations: ORGANIZATIONS };
    await buyUnderLoad({ ...everybody, seconds: WARM_UP_SECONDS });
    const { figures, purchases } = await inTurns(cluster, serving, { ...everybody, seconds: SECONDS });
    const half = await quotesAtHalf({ ...everybody, seconds: SECONDS, rate: purchases / 2 });
    return [...figures, half, await rivals(cluster, { ...everybody, organizations: 1, seconds: SECONDS })];
  } finally {
    await serving.stop();
  }
}

async function inTurns(
  cluster: Cluster,
  serving: Serving,
  load: Load,
): Promise<{ figures: Figure[]; purchases: number }> {
  const [bench, sold, costs]: [number[], number[], Costs[]] = [[], [], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    bench.push(await transactionsPerSecond(cluster));
    const { result, cost } = await withCosts(cluster, serving, () => buyUnderLoad(load));
    sold.push(result.sold / result.seconds);
    costs.push(cost);
  }
  const purchases = median(sold);
  const ratio = purchases / median(bench);
  const name = "purchase-throughput";
  const samples = { purchases: sold, pgbench: bench };
  const ofProcess = (process: keyof Costs) => {
    const each = costs.map((cost) => cost[process]);
    return {
      name: `cpu-${process}`,
      value: median(each),
      unit: "ms per settled purchase",
      ...NO_GOAL,
      samples: { each },
    };
  };
  return {
    purchases,
    figures: [
      { name, value: ratio, unit: "× pgbench TPC-B", goal: 0.15, isFloor: true, samples },
      { name, value: purchases, unit: `per second (pgbench: ${median(bench).toFixed(0)})`, ...NO_GOAL, samples },
      ...(["database", "service", "client"] as const).map(ofProcess),
    ],
  };
}

const NO_GOAL = { goal: Number.POSITIVE_INFINITY };

async function transactionsPerSecond(cluster: Cluster): Promise<number> {
  const args = ["-M", "prepared", "-c", String(CONNECTIONS), "-j", "2", "-T", String(SECONDS), "pgbench"];
  const printed = await cluster.run("pgbench", args);
  const tps = /^tps = ([\d.]+)/m.exec(printed)?.[1];
  if (tps === undefined) throw new ServingError(`pgbench printed no rate: ${printed}`);
  return Number(tps);
}

async function withCosts(cluster: Cluster, serving: Serving, work: () => Promise<LoadResult>) {
  const times = () => Promise.all([cpuSeconds(cluster.pid), cpuSeconds(serving.pid)]);
  const [database, service] = await times();
  const result = await work();
  const [databaseAfter, serviceAfter] = await times();
  const each = (seconds: number) => (seconds * 1_000) / result.sold;
  const cost = {
    database: each(databaseAfter - database),
    service: each(serviceAfter - service),
    client: each(result.cpuSeconds),
  };
  return { result, cost };
}

/** Measures quotes at a load that leaves room, once what the load before left behind is done. */
async function quotesAtHalf(load: Load): Promise<Figure> {
  const [p50, p99]: [number[], number[]] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    const { quoteMs } = await buyUnderLoad({ ...load, warmUp: WARM_UP_SECONDS });
    p50.push(percentile(quoteMs, 0.5));
    p99.push(percentile(quoteMs, 0.99));
  }
  const value = median(p99.map((slow, round) => slow / (p50[round] ?? Number.NaN)));
  const unit = `× p50 is p99 (${median(p50).toFixed(1)} ms, ${median(p99).toFixed(1)} ms)`;
  return { name: "quote-latency", value, unit, goal: 4, samples: { p50, p99 } };
}

/** Lets all connections buy for one organization, and holds what they were told against what is stored. */
async function rivals(cluster: Cluster, load: Load): Promise<Figure> {
  const before = await stored(cluster, load.first);
  const { sold, conflicts, seconds } = await buyUnderLoad(load);
  const after = await stored(cluster, load.first);
  for (const [what, count] of Object.entries(after)) {
    const added = count - (before[what] ?? 0);
    if (added !== sold) throw new ServingError(`${sold} purchases were answered as paid, but ${added} ${what} added`);
  }
  const value = (sold + conflicts) / seconds;
  const unit = `answers per second (${sold} sold, ${conflicts} to decide again)`;
  return {
    name: "one-organization",
    value,
    unit,
    goal: 100,
    isFloor: true,
    samples: { sold: [sold], conflicts: [conflicts] },
  };
}

async function stored(cluster: Cluster, organization: number): Promise<Record<string, number>> {
  const [row = {}] = await cluster.query(
    "selling",
    `select licenses,
      (select count(*) from purchases where organization_id = ${organization} and state = 'fulfilled') as purchases,
      (select count(*) from receipts where organization_id = ${organization}) as receipts,
      (select count(*) from ledger where organization_id = ${organization}) as charges,
      (select count(*) from sandbox_payments where purchase_id like 'pur_${organization}_%' and status = 'succeeded') as payments
    from subscriptions where organization_id = ${organization}`,
  );
  return Object.fromEntries(Object.entries(row).map(([what, count]) => [what, Number(count)]));
}
