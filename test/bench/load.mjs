/**
 * Sends quotes and purchases to a backend, in a process of its own: `node load.mjs '<json of Load>'`. Prints what came of
 * it as JSON (see load.ts).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";

const load = JSON.parse(process.argv[2]);
const { origin, pathname } = new URL(load.url);
const pool = new Pool(origin, { connections: load.connections, pipelining: 1 });
const result = { sold: 0, conflicts: 0, failures: [], quoteMs: [], purchaseMs: [], seconds: 0, cpuSeconds: 0 };
const run = crypto.randomUUID();
let calls = 0;

async function post(organization, path, body) {
  calls += 1;
  const answer = await pool.request({
    method: "POST",
    path: `${pathname}/organizations/${organization}/${path}`,
    headers: {
      authorization: `Bearer ${load.tokenPrefix}${organization}`,
      "content-type": "application/json",
      "idempotency-key": `${run}-${calls}`,
    },
    body: JSON.stringify(body),
  });
  return { status: answer.statusCode, body: await answer.body.json() };
}

async function timed(times, organization, path, body) {
  const began = performance.now();
  const answer = await post(organization, path, body);
  if (began >= measuredFrom) times.push(performance.now() - began);
  return answer;
}

async function buy(organization) {
  const quote = await timed(result.quoteMs, organization, "quotes", { licenses: 1 });
  if (quote.status !== 201) return fail("quote", quote);
  const purchase = await timed(result.purchaseMs, organization, "purchases", { quoteId: quote.body.id });
  if (purchase.status === 201 && purchase.body.status === "succeeded") result.sold += 1;
  else if (purchase.status === 409 && purchase.body.code === "subscription_changed") result.conflicts += 1;
  else fail("purchase", purchase);
}

function fail(what, { status, body }) {
  result.failures.push(`${what} ${status} ${body.code ?? body.status}`);
}

const began = performance.now();
const cpuBefore = process.cpuUsage();
const measuredFrom = began + load.warmUp * 1000;
const until = measuredFrom + load.seconds * 1000;

/** Each connection has organizations of its own, unless there are fewer organizations than connections. */
async function buyOn(connection) {
  for (let turn = 0; performance.now() < until; turn += 1) {
    const at = (connection + turn * load.connections) % load.organizations;
    await buy(load.first + ((load.stride * at) % load.organizations));
  }
}

/** Begins purchases at a fixed rate, whatever became of those before. */
async function buyPaced() {
  const open = new Set();
  for (let index = 0; performance.now() < until; index += 1) {
    const wait = began + (index * 1000) / load.rate - performance.now();
    if (wait > 1) await sleep(wait);
    const buying = buy(load.first + ((load.stride * index) % load.organizations)).finally(() => open.delete(buying));
    open.add(buying);
  }
  await Promise.all(open);
}

if (load.rate === null) await Promise.all(Array.from({ length: load.connections }, (_, index) => buyOn(index)));
else await buyPaced();
result.seconds = (performance.now() - began) / 1000;
const { user, system } = process.cpuUsage(cpuBefore);
result.cpuSeconds = (user + system) / 1e6;
await pool.close();
process.stdout.write(JSON.stringify(result));
