import { setTimeout as sleep } from "node:timers/promises";
import { organization, type SeedOrganization, token } from "../support/seed.ts";
import { waitFor } from "../support/wait.ts";
import { type Loss, startCommitProxy } from "./commitProxy.ts";
import type { Tally } from "./ledger.ts";
import { armed, type Fleet, KILLED } from "./serviceFleet.ts";
import { buyOverHttp, newOrder, type Order, type Paying } from "./serviceOrders.ts";

/** The crash points of a purchase that a request reaches (src/backend/README.md, Crash points). */
const REQUEST_POINTS = ["B0", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9"];

/** Where an instance loses its lease: before and after each call to the provider. */
const PAUSED_POINTS = ["B3", "B4", "B6", "B7"];

const COMMIT = "commit\0";

/**
 * The statements that are lost, or whose answer is: the one that accepts, the one that fulfills, and COMMIT where the
 * spending limit of a token is checked.
 */
const LOST: readonly (readonly [text: string, loss: Loss])[] = [
  ["with quote as", "statement"],
  ["with quote as", "answer"],
  [COMMIT, "statement"],
  [COMMIT, "answer"],
  ["with moved as", "statement"],
  ["with moved as", "answer"],
];

/** How long after SIGTERM an instance is killed, milliseconds, and for how long it drains, seconds. */
const DRAINS: readonly (readonly [killAfter: number, drainSeconds: number])[] = [
  [30, 0],
  [300, 0],
  [500, 2],
];

const ORGANIZATIONS = 40;

/** From this organization on, tokens have a spending limit. */
const FIRST_LIMITED = 36;

/** The organizations that `killAtServicePoints` needs. */
export function pointOrganizations(): SeedOrganization[] {
  const spendLimit = { licenses: 1_000 };
  return Array.from({ length: ORGANIZATIONS }, (_, index) => {
    const id = index + 1;
    return organization(id, id < FIRST_LIMITED ? {} : { tokens: [token(id, { spendLimit })] });
  });
}

/** The instance that goes on when another is killed; the others have numbers above it. */
export const SURVIVOR = 0;

/** The flags of an instance without background work. */
export const NO_JOBS = ["--roles", "http"];

/** The next organization, so that scenarios do not meet. */
type Take = () => number;

/** Where instances are killed, one at a time per organization. */
export interface Scene {
  readonly fleet: Fleet;
  readonly take: Take;
  readonly tally: Tally;
  readonly orders: Order[];
}

/**
 * Kills, pauses and disconnects instances at every point, one at a time per organization, while another instance lives.
 * Returns the orders that were bought meanwhile.
 */
export async function killAtServicePoints(fleet: Fleet, tally: Tally): Promise<Order[]> {
  let taken = 0;
  const scene: Scene = { fleet, tally, orders: [], take: () => (taken += 1) };
  // Jobs of another instance would send the notification and make the renewal first.
  await killSending(scene);
  await killRenewing(scene);
  await fleet.start(SURVIVOR);
  const numbers = Array.from({ length: 20 }, (_, index) => SURVIVOR + 1 + index);
  const next = () => numbers.shift() ?? 0;
  const killing = killBuying(scene, next());
  const losing = LOST.map(([text, loss]) => loseConnection(scene, next(), text, loss));
  await Promise.all([...(await killing), ...losing]);
  await Promise.all(PAUSED_POINTS.map((point) => loseLease(scene, next(), point)));
  for (const [killAfter, drainSeconds] of DRAINS) await killDraining(scene, next(), killAfter, drainSeconds);
  await fleet.end(SURVIVOR, "SIGTERM");
  return scene.orders;
}

/** Who buys, and what a person does where one has to pay. */
interface Buying {
  readonly organizationId?: number;
  readonly pay?: Paying;
}

/** Buys from one instance for as long as it lives, then from the survivor. */
export function buyFrom(
  { fleet, take, tally, orders }: Scene,
  number: number,
  { organizationId = take(), pay }: Buying = {},
): Promise<Order> {
  const order = newOrder(organizationId, 1 + (orders.length % 3));
  orders.push(order);
  let isGone = false;
  const gone = () => {
    isGone = true;
  };
  fleet.ended(number).then(gone, gone);
  const route = () => fleet.url(isGone ? SURVIVOR : number);
  return buyOverHttp(order, route, tally, pay).then(() => order);
}

/** Waits for the end of an instance with a crash point. One that was not reached is a violation. */
export async function expectKilled({ fleet, tally }: Scene, number: number, where: string): Promise<void> {
  const exitCode = await fleet.ended(number);
  tally.kills += 1;
  tally.expect(exitCode === KILLED, `${where}: was not reached (exit ${exitCode})`);
}

/** B10: the notification was delivered and is not marked. */
export async function killSending(scene: Scene): Promise<void> {
  const { fleet } = scene;
  const buying = await killAlone(scene, "B10");
  await fleet.start(SURVIVOR);
  await Promise.all(buying);
  await fleet.end(SURVIVOR, "SIGTERM");
}

/**
 * Buys from an instance that is alone, so that no other does first what leads to the point, until it is killed there. Returns
 * the purchase, which goes on once the survivor runs.
 */
export async function killAlone(
  scene: Scene,
  point: string,
  { args = [], ...buying }: Buying & { readonly args?: readonly string[] } = {},
): Promise<Promise<Order>[]> {
  await scene.fleet.start(SURVIVOR, { env: armed(point), args });
  const orders = [buyFrom(scene, SURVIVOR, buying)];
  await expectKilled(scene, SURVIVOR, point);
  return orders;
}

/** B0 and B12: a renewal that is made twice would show in the term. */
export async function killRenewing(scene: Scene): Promise<void> {
  const { fleet } = scene;
  for (const point of ["B0", "B12"]) {
    await fleet.start(SURVIVOR, { env: armed(point) });
    await fleet.cluster.query("update subscriptions set renew_at = 1 where organization_id = $1", [scene.take()]);
    await expectKilled(scene, SURVIVOR, `${point} of a renewal`);
  }
}

/** Kills an instance at each point in turn. Returns the purchases, which go on at the survivor. */
export async function killBuying(scene: Scene, number: number): Promise<Promise<Order>[]> {
  const buying: Promise<Order>[] = [];
  for (const point of REQUEST_POINTS) {
    await scene.fleet.start(number, { env: armed(point), args: NO_JOBS });
    buying.push(buyFrom(scene, number));
    await expectKilled(scene, number, point);
  }
  return buying;
}

/** S6: the connection is lost while a statement is carried out. */
async function loseConnection(scene: Scene, number: number, text: string, loss: Loss): Promise<void> {
  const { fleet, tally } = scene;
  const where = `S6, ${loss} lost of ${JSON.stringify(text)}`;
  const proxy = await startCommitProxy(fleet.cluster.port);
  try {
    const databaseUrl = fleet.cluster.url.replace(/:\d+\//, `:${proxy.port}/`);
    await fleet.start(number, { args: NO_JOBS, databaseUrl });
    const lost = proxy.loseNext(text, loss);
    const organizationId = text === COMMIT ? FIRST_LIMITED + (number % 4) : scene.take();
    const { key, end } = await buyFrom(scene, number, { organizationId });
    await waitFor(() => Promise.race([lost.then(() => true), sleep(0, false)]), 1_000, `${where} to happen`);
    tally.faults += 1;
    tally.expect(end === "succeeded", `${where}: ${key} ended ${end}`);
    tally.expect((await fleet.end(number, "SIGTERM")) === 0, `${where}: the instance did not end well`);
  } finally {
    await proxy.close();
  }
}

/** S7: the instance stops for longer than its lease, and the survivor pays. What it writes afterwards is refused. */
async function loseLease(scene: Scene, number: number, point: string): Promise<void> {
  const { fleet, tally } = scene;
  const where = `S7 at ${point}`;
  const { process } = await fleet.start(number, { env: armed(point, "pause"), args: NO_JOBS });
  const order = newOrder(scene.take(), 2);
  scene.orders.push(order);
  let requests = 0;
  // A quote and an order go to the instance that stops.
  const route = () => {
    requests += 1;
    return fleet.url(requests <= 2 ? number : SURVIVOR);
  };
  await buyOverHttp(order, route, tally);
  tally.expect(order.end === "succeeded", `${where}: ${order.key} ended ${order.end}`);
  process.kill("SIGCONT");
  tally.kills += 1;
  const isRefused = await waitFor(() => process.noted().includes("lease lost to another worker"), 10_000).catch(
    () => false,
  );
  tally.expect(isRefused, `${where}: the stale write was not refused: ${process.noted()}`);
  tally.expect((await fleet.end(number, "SIGTERM")) === 0, `${where}: the instance did not end well`);
}

const DRAINED_ORDERS = 4;

/** S8: the instance is killed while it drains. */
async function killDraining(scene: Scene, number: number, killAfter: number, drainSeconds: number): Promise<void> {
  await scene.fleet.start(number, { args: ["--drain-seconds", String(drainSeconds)] });
  const { process } = scene.fleet.instance(number);
  const buying = Array.from({ length: DRAINED_ORDERS }, () => buyFrom(scene, number));
  process.kill("SIGTERM");
  await sleep(killAfter);
  process.kill("SIGKILL");
  await scene.fleet.ended(number);
  scene.tally.kills += 1;
  await Promise.all(buying);
}
