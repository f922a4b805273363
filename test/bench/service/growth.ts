import { type Figure, median } from "../budget.ts";
import { buyUnderLoad } from "../load.ts";
import type { Cluster } from "./cluster.ts";
import { growTo } from "./grow.ts";
import { createOrganizations, serve } from "./serving.ts";

const ORGANIZATIONS = 100_000;
const PURCHASES = 10;
const FEW = 50;
const ROUNDS = 7;
const SECONDS = 2;

/**
 * Measures quotes and purchases, one after the other, with 100,000 organizations and 1,000,000 purchases beside a database
 * with hardly any, in turns.
 */
export async function measureGrowth(cluster: Cluster): Promise<Figure[]> {
  await createOrganizations(cluster, "small", FEW);
  await createOrganizations(cluster, "grown", 1);
  const [small, grown] = await Promise.all([serve(cluster, "small"), serve(cluster, "grown")]);
  const buy = async (url: string, organizations: number, seconds: number) => {
    const { quoteMs, purchaseMs } = await buyUnderLoad({ url, connections: 1, first: 1, organizations, seconds });
    return { quotes: median(quoteMs), purchases: median(purchaseMs) };
  };
  try {
    await buy(grown.url, 1, 1);
    await growTo(cluster, "grown", ORGANIZATIONS, PURCHASES);
    await Promise.all([buy(small.url, FEW, SECONDS), buy(grown.url, ORGANIZATIONS, SECONDS)]);
    const rounds: Record<"quotes" | "purchases", { small: number[]; grown: number[] }> = {
      quotes: { small: [], grown: [] },
      purchases: { small: [], grown: [] },
    };
    for (let round = 0; round < ROUNDS; round += 1) {
      const fast = await buy(small.url, FEW, SECONDS);
      const slow = await buy(grown.url, ORGANIZATIONS, SECONDS);
      for (const kind of ["quotes", "purchases"] as const) {
        rounds[kind].small.push(fast[kind]);
        rounds[kind].grown.push(slow[kind]);
      }
    }
    return (["quotes", "purchases"] as const).map((kind) => {
      const samples = rounds[kind];
      const value = median(samples.grown) / median(samples.small);
      return { name: "growth", value, unit: `× p50 of ${kind} when empty`, goal: 1.2, samples };
    });
  } finally {
    await Promise.all([small.stop(), grown.stop()]);
  }
}
