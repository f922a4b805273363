import { Agent, request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { tokenOf } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";
import type { Tally } from "./ledger.ts";
import type { Fleet } from "./serviceFleet.ts";
import { newOrder, type Order } from "./serviceOrders.ts";

/** How many clients buy, each for an organization of its own. */
export const DRAIN_CLIENTS = 50;

const SIDES = [0, 1] as const;
const DRAIN = ["--drain-seconds", "2"];
const MAX_END_MS = 25_000;

/** How long a client pauses after a purchase, milliseconds: so few that no instance has to refuse any for the load. */
const PAUSE_MS = 500;

interface Crowd {
  readonly fleet: Fleet;
  readonly tally: Tally;
  /** The organization of the first client. */
  readonly first: number;
  isOver: boolean;
}

/**
 * Ends one of two instances, and then the other, while clients buy from both in turn and repeat nothing but a refused
 * connection. No request may fail. Returns the orders.
 */
export async function drainUnderLoad(fleet: Fleet, first: number, tally: Tally): Promise<Order[]> {
  const crowd: Crowd = { fleet, tally, first, isOver: false };
  await Promise.all(SIDES.map((side) => fleet.start(side, { args: DRAIN })));
  const clients = Array.from({ length: DRAIN_CLIENTS }, (_, index) => client(crowd, index));
  for (const side of SIDES) {
    await sleep(1_500);
    const start = performance.now();
    const exitCode = await fleet.end(side, "SIGTERM");
    const took = performance.now() - start;
    tally.expect(exitCode === 0 && took < MAX_END_MS, `drain: instance ${side} ended ${exitCode} after ${took} ms`);
    await fleet.start(side, { args: DRAIN });
  }
  crowd.isOver = true;
  const orders = (await Promise.all(clients)).flat();
  await endAtOnce(crowd);
  return orders;
}

/** A second signal ends an instance that drains. */
async function endAtOnce({ fleet, tally }: Crowd): Promise<void> {
  await fleet.end(0, "SIGTERM");
  const { process } = await fleet.start(0, { args: ["--drain-seconds", "20"] });
  process.kill("SIGTERM");
  const isDraining = async () => (await fetch(new URL("/readyz", fleet.url(0)))).status === 503;
  await waitFor(isDraining, 5_000, "the instance to drain");
  const start = performance.now();
  const exitCode = await fleet.end(0, "SIGTERM");
  const took = performance.now() - start;
  await fleet.end(1, "SIGTERM");
  tally.expect(exitCode === 143 && took < 2_000, `drain: ended ${exitCode} ${took} ms after the second signal`);
}

/** Buys until it is over. Every other client keeps its connections open. */
async function client(crowd: Crowd, index: number): Promise<Order[]> {
  const agent = new Agent({ keepAlive: index % 2 === 0 });
  const organizationId = crowd.first + index;
  const orders: Order[] = [];
  let turn = index;
  const next = (path: string, body: object, headers: Record<string, string> = {}) =>
    sendInTurn(crowd, { agent, organizationId, path, body, headers, turn: () => (turn += 1) });
  while (!crowd.isOver) {
    const order = newOrder(organizationId, 1);
    const quote = await next("/quotes", { licenses: 1 });
    if (quote === null) break;
    orders.push(order);
    const purchase = await next("/purchases", { quoteId: quote.id }, { "idempotency-key": order.key });
    order.end = purchase?.status === "succeeded" ? "succeeded" : null;
    await sleep(PAUSE_MS);
  }
  agent.destroy();
  return orders;
}

interface Sending {
  readonly agent: Agent;
  readonly organizationId: number;
  readonly path: string;
  readonly body: object;
  readonly headers: Record<string, string>;
  turn(): number;
}

/** Sends a request to the next instance, or to the one after it if the connection is refused. */
async function sendInTurn({ fleet, tally }: Crowd, sending: Sending): Promise<{ id: string; status?: string } | null> {
  const { organizationId, path, turn } = sending;
  for (let refusals = 0; refusals <= SIDES.length; refusals += 1) {
    const side = turn() % SIDES.length;
    try {
      const { status, text } = await post(`${fleet.url(side)}/organizations/${organizationId}${path}`, sending);
      tally.expect(status === 201, `drain: POST ${path} at ${side} was answered ${status} ${text}`);
      return status === 201 ? JSON.parse(text) : null;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ECONNREFUSED") continue;
      tally.expect(false, `drain: POST ${path} at ${side} failed: ${error}`);
      return null;
    }
  }
  tally.expect(false, `drain: no instance took POST ${path}`);
  return null;
}

function post(
  url: string,
  { agent, organizationId, body, headers }: Sending,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const authorization = `Bearer ${tokenOf(organizationId)}`;
    const all = { authorization, "content-type": "application/json", ...headers };
    const sent = request(url, { agent, method: "POST", headers: all }, async (response) => {
      let text = "";
      try {
        for await (const chunk of response) text += chunk;
        resolve({ status: response.statusCode ?? 0, text });
      } catch (error) {
        reject(error);
      }
    });
    sent.on("error", reject);
    sent.end(JSON.stringify(body));
  });
}
