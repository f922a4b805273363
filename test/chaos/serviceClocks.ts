import { setTimeout as sleep } from "node:timers/promises";
import { ADMIN, organization, PASSWORD, type SeedOrganization, user } from "../support/seed.ts";
import { codeAt } from "../support/totp.ts";
import { waitFor } from "../support/wait.ts";
import type { Tally } from "./ledger.ts";
import { armed, type Fleet } from "./serviceFleet.ts";
import { buyOverHttp, newOrder, type Order, send } from "./serviceOrders.ts";

/** The instance whose machine is wrong, and the one whose machine is right. */
const [WRONG, RIGHT] = [0, 1] as const;

const AHEAD_MS = 600_000;

/** What Debian's `faketime -f +10m` sets, with timers left alone. */
const FAKED = {
  LD_PRELOAD: "/usr/$LIB/faketime/libfaketime.so.1",
  FAKETIME: `+${AHEAD_MS / 1_000}`,
  DONT_FAKE_MONOTONIC: "1",
};

const SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/** A person with one-time codes. */
const CODED = { email: "coded@northwind.example", totpSecret: SECRET };

/** How long a purchase is held that has a lease of 10 seconds, milliseconds. */
const HELD_MS = 5_000;

/** After how long another instance goes on, milliseconds: a lease of 10 seconds, and 5 between idle rounds of the sweep. */
const MAX_LEASE_MS = 20_000;

/** The organizations of this part. */
export function clockOrganizations(first: number): SeedOrganization[] {
  const users = [user({ email: ADMIN }), user(CODED)];
  return Array.from({ length: 6 }, (_, index) => organization(first + index, { users }));
}

interface Scene {
  readonly fleet: Fleet;
  readonly tally: Tally;
  readonly orders: Order[];
  readonly take: () => number;
}

/**
 * Lets two instances work whose machines' clocks are 10 minutes apart: leases, quotes, codes and sessions of one count at
 * the other, because both follow the clock of the database. Returns the orders.
 *
 * @param first the first of this part's organizations
 */
export async function tellWrongTime(fleet: Fleet, first: number, tally: Tally): Promise<Order[]> {
  let next = first;
  const scene: Scene = { fleet, tally, orders: [], take: () => next++ };
  await fleet.start(WRONG, { env: FAKED });
  await fleet.start(RIGHT);
  const ahead = (await dateOf(fleet, WRONG)) - (await dateOf(fleet, RIGHT));
  tally.expect(Math.abs(ahead - AHEAD_MS) < 5_000, `clocks: the machine is ${ahead} ms ahead instead of ${AHEAD_MS}`);
  for (const [quoting, buying] of [
    [WRONG, RIGHT],
    [RIGHT, WRONG],
  ] as const) {
    await buyElsewhere(scene, quoting, buying);
    await signInAtBoth(scene, quoting, buying);
  }
  for (const side of [WRONG, RIGHT]) {
    await respectLease(scene, side, "SIGCONT");
    await respectLease(scene, side, "SIGKILL");
  }
  for (const side of [WRONG, RIGHT]) {
    tally.expect((await fleet.end(side, "SIGTERM")) === 0, `clocks: instance ${side} did not end well`);
  }
  return scene.orders;
}

/** What the machine of an instance believes, in milliseconds: the HTTP server dates its answers by it. */
async function dateOf(fleet: Fleet, side: number): Promise<number> {
  const { headers } = await fetch(new URL("/healthz", fleet.url(side)));
  return Date.parse(headers.get("date") ?? "");
}

async function buyElsewhere({ fleet, tally, orders, take }: Scene, quoting: number, buying: number): Promise<void> {
  const order = newOrder(take(), 1);
  orders.push(order);
  const routes = [quoting, buying].map((side) => fleet.url(side));
  await buyOverHttp(order, () => routes.shift() ?? fleet.url(buying), tally);
  tally.expect(order.end === "succeeded", `clocks: quoted at ${quoting}, bought at ${buying}: ended ${order.end}`);
  tally.expect(routes.length === 0, `clocks: ${order.key} was not bought at ${buying}`);
}

/** A step of signing in at each, and the session at both. */
async function signInAtBoth({ fleet, tally }: Scene, one: number, other: number): Promise<void> {
  const where = `clocks: signing in at ${one} and ${other}`;
  const { challenge } = await post(`${fleet.url(one)}/auth/login`, { email: CODED.email, password: PASSWORD });
  // Each code counts once: the first sign-in takes that of the step before.
  const code = codeAt(SECRET, Date.now() - (one === WRONG ? 30_000 : 0));
  const session = await post(`${fleet.url(other)}/auth/mfa`, { challenge, code });
  tally.expect(session.status === "signed_in", `${where}: ${JSON.stringify(session)}`);
  for (const side of [one, other]) {
    const { status } = await fetch(`${fleet.url(side)}/me`, {
      headers: { authorization: `Bearer ${session.accessToken}` },
    });
    tally.expect(status === 200, `${where}: the session was answered ${status} at ${side}`);
  }
  const form = new URLSearchParams({ grant_type: "refresh_token", refresh_token: String(session.refreshToken) });
  const refreshed = await fetch(`${fleet.url(one)}/oauth/token`, { method: "POST", body: form });
  tally.expect(refreshed.status === 200, `${where}: the refresh was answered ${refreshed.status} at ${one}`);
}

async function post(url: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return (await response.json()) as Record<string, unknown>;
}

/**
 * An instance stops while it has a lease, and the other leaves the purchase alone. Then it goes on itself, or is killed and
 * the other takes over once the lease is over.
 */
async function respectLease(scene: Scene, side: number, then: "SIGCONT" | "SIGKILL"): Promise<void> {
  const { fleet, tally, orders, take } = scene;
  const where = `clocks: the lease of ${side}, then ${then}`;
  const other = side === WRONG ? RIGHT : WRONG;
  await fleet.end(side, "SIGTERM");
  const env = { ...armed("B6", "pause"), ...(side === WRONG && FAKED) };
  // Without jobs, so that it is the request that stops.
  const { process } = await fleet.start(side, { env, args: ["--roles", "http"] });
  const organizationId = take();
  const order = newOrder(organizationId, 1);
  orders.push(order);
  const start = performance.now();
  const quote = await send(fleet.url(side), organizationId, ["POST", "/quotes"], { body: { licenses: 1 } });
  const { id: quoteId } = (quote?.body ?? {}) as { id?: string };
  const buying = send(fleet.url(side), organizationId, ["POST", "/purchases"], { body: { quoteId }, key: order.key });
  const leased = () =>
    fleet.cluster.query("select epoch::int, state from purchases where idempotency_key = $1", [order.key]);
  await waitFor(async () => (await leased()).length > 0, 5_000, `${where}: the order`);
  await sleep(HELD_MS);
  const [held] = await leased();
  tally.expect(held?.epoch === 1 && held.state === "charging", `${where}: was ${JSON.stringify(held)} meanwhile`);
  process.kill(then);
  const answer = await buying;
  const isPaid = async () => (await leased())[0]?.state === "fulfilled";
  await waitFor(isPaid, 2 * MAX_LEASE_MS, `${where}: the payment`);
  order.end = "succeeded";
  if (then === "SIGCONT") {
    const [paid] = await leased();
    // 202 if the time was over in which a request charges.
    const isMeant = [201, 202].includes(answer?.status ?? 0) && paid?.epoch === 1;
    tally.expect(isMeant, `${where}: was answered ${answer?.status}, and is ${JSON.stringify(paid)}`);
    return;
  }
  const took = performance.now() - start;
  tally.expect(took < MAX_LEASE_MS, `${where}: ${other} took over after ${took} ms`);
  tally.kills += 1;
  await fleet.ended(side);
  await fleet.start(side, { env: side === WRONG ? FAKED : {} });
}
