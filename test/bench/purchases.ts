import { execFile } from "node:child_process";
import { Agent, request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { runCli } from "../support/cli.ts";
import { FaultProxy } from "../support/faultProxy.ts";
import { temporaryDirectory } from "../support/places.ts";
import { environmentFor, type RunningSandbox, startSandbox } from "../support/sandbox.ts";
import { organization, seed, tokenOf } from "../support/seed.ts";
import { type Budget, type Figure, median } from "./budget.ts";

const ORGANIZATIONS = Array.from({ length: 8 }, (_, index) => index + 1);
const FEW = 100;
const MANY = 10_000;
const READINGS = 15;

/** What was measured did not do what it was started for. */
class PurchaseError extends Error {
  override readonly name = "PurchaseError";
}

/** What buying costs: requests, and memory of the backend. */
export const purchaseBudgets: readonly Budget[] = [
  { name: "buy-round-trips", isSlow: false, measure: countRequests },
  { name: "memory", isSlow: true, measure: measureMemory },
];

async function countRequests(): Promise<Figure[]> {
  const sandbox = await startSandbox({ seed: seed(organization(1)) });
  const proxy = await FaultProxy.start(sandbox.ready.url);
  try {
    const { exitCode, stderr } = await runCli(["buy", "5", "--yes"], { env: environmentFor(proxy.url, 1) });
    if (exitCode !== 0) throw new PurchaseError(`buy ended with ${exitCode}: ${stderr}`);
    const value = proxy.requests.length;
    return [{ name: "buy-round-trips", value, unit: "requests", goal: 3, samples: { requests: [value] } }];
  } finally {
    await proxy.close();
    await sandbox.stop();
  }
}

async function measureMemory(): Promise<Figure[]> {
  // An ephemeral one keeps in memory what it is given, which is no leak.
  const data = join(await temporaryDirectory(), "data");
  const sandbox = await startSandbox({ data, seed: seed(...ORGANIZATIONS.map((id) => organization(id))) });
  const agent = new Agent({ keepAlive: true, maxSockets: ORGANIZATIONS.length });
  try {
    await purchase(sandbox, agent, FEW);
    const few = await residentSizes(sandbox.ready.pid);
    await purchase(sandbox, agent, MANY - FEW);
    const many = await residentSizes(sandbox.ready.pid);
    const value = median(many) / median(few);
    return [{ name: "memory", value, unit: "× after 100 purchases", goal: 1.2, samples: { few, many } }];
  } finally {
    agent.destroy();
    await sandbox.stop();
  }
}

/** Buys one license so many times, one after the other in each organization. */
async function purchase(sandbox: RunningSandbox, agent: Agent, times: number): Promise<void> {
  const buyIn = async (id: number) => {
    for (let time = id; time <= times; time += ORGANIZATIONS.length) {
      const post = (path: string, body: unknown) =>
        call(agent, `${sandbox.ready.url}/organizations/${id}/${path}`, id, body);
      await post("purchases", { quoteId: (await post("quotes", { licenses: 1 })).id });
    }
  };
  await Promise.all(ORGANIZATIONS.map(buyIn));
}

let calls = 0;

function call(agent: Agent, url: string, id: number, body: unknown): Promise<{ id: string }> {
  calls += 1;
  const headers = {
    authorization: `Bearer ${tokenOf(id)}`,
    "content-type": "application/json",
    "idempotency-key": `bench-${calls}`,
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: "POST", agent, headers }, async (incoming) => {
      const text = Buffer.concat(await incoming.toArray()).toString();
      if (incoming.statusCode === 201) resolve(JSON.parse(text) as { id: string });
      else reject(new PurchaseError(`${url} answered ${incoming.statusCode}: ${text}`));
    });
    outgoing.on("error", reject);
    outgoing.end(JSON.stringify(body));
  });
}

/** Kilobytes in memory, read again and again while the process has nothing to do. */
async function residentSizes(pid: number): Promise<number[]> {
  const sizes: number[] = [];
  while (sizes.length < READINGS) {
    await sleep(200);
    sizes.push(Number((await promisify(execFile)("ps", ["-o", "rss=", "-p", String(pid)])).stdout));
  }
  return sizes;
}
