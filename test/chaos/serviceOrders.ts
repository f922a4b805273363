import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Purchase } from "../../src/contract/billing.ts";
import { runCli } from "../support/cli.ts";
import { actOnPage } from "../support/paymentPage.ts";
import { environmentFor } from "../support/sandbox.ts";
import { tokenOf } from "../support/seed.ts";
import type { Tally } from "./ledger.ts";

/** An order that is bought once, whatever happens to the instances. */
export interface Order {
  readonly organizationId: number;
  readonly licenses: number;
  readonly key: string;
  /** What the client was told in the end. */
  end: "succeeded" | "failed" | null;
}

/** Where to send the next request. */
export type Route = () => string;

/** What a person does at the address of a payment page. It may have to be done again. */
export type Paying = (link: string, route: Route, tally: Tally) => Promise<void>;

/** Creates an order with a key of its own. */
export function newOrder(organizationId: number, licenses: number): Order {
  return { organizationId, licenses, key: `key-${randomUUID()}`, end: null };
}

/** How long a client waits for an answer, milliseconds; longer than an instance charges a purchase. */
const PATIENCE_MS = 8_000;

const PAUSE_MS = 150;

/** How long an order takes at most: whoever has the lease of a killed instance waits for its end. */
const ORDER_MS = 90_000;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** Sends a request. Returns nothing if there was no answer. */
export async function send(
  url: string,
  organizationId: number,
  [method, path]: readonly [method: string, path: string],
  { body, key, agentless = false }: { body?: unknown; key?: string; agentless?: boolean } = {},
): Promise<Answer | null> {
  try {
    const response = await fetch(`${url}/organizations/${organizationId}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${tokenOf(organizationId)}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(key !== undefined && { "idempotency-key": key }),
        ...(agentless && { connection: "close" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    return { status: response.status, body: await response.json() };
  } catch {
    return null;
  }
}

/** The answers after which a client tries again: too much, or away. */
const TRY_AGAIN = [429, 503];

/**
 * Buys an order over HTTP, with a request to any instance at a time, until it has ended. What the program may not answer is
 * a violation.
 *
 * @param pay what a person does where one has to pay
 */
export async function buyOverHttp(order: Order, route: Route, tally: Tally, pay: Paying = payByCard): Promise<void> {
  const until = performance.now() + ORDER_MS;
  let quoteId: string | null = null;
  while (order.end === null && performance.now() < until) {
    quoteId ??= await quote(order, route, tally);
    const answer =
      quoteId &&
      (await send(route(), order.organizationId, ["POST", "/purchases"], { body: { quoteId }, key: order.key }));
    if (!answer) await sleep(PAUSE_MS);
    else if ([200, 201, 202, 402].includes(answer.status)) {
      return follow(order, purchaseOf(answer), { route, tally, pay });
    } else if (isCode(answer, "subscription_changed")) quoteId = null;
    else {
      expectRefusal(answer, ["idempotency_key_in_use"], order, tally);
      await sleep(PAUSE_MS);
    }
  }
  tally.expect(order.end !== null, `${order.key} never came to an end`);
}

async function quote(order: Order, route: Route, tally: Tally): Promise<string | null> {
  const answer = await send(route(), order.organizationId, ["POST", "/quotes"], { body: { licenses: order.licenses } });
  if (answer?.status === 201) return (answer.body as { id: string }).id;
  if (answer) expectRefusal(answer, [], order, tally);
  await sleep(PAUSE_MS);
  return null;
}

/** Follows a purchase to its end. A person pays it where one has to. */
async function follow(
  order: Order,
  purchase: Purchase,
  { route, tally, pay }: { route: Route; tally: Tally; pay: Paying },
): Promise<void> {
  const until = performance.now() + ORDER_MS;
  for (let seen = purchase; performance.now() < until; ) {
    if (seen.status === "succeeded" || seen.status === "failed") {
      order.end = seen.status;
      return;
    }
    if (seen.nextAction?.url) await pay(seen.nextAction.url, route, tally);
    const answer = await send(route(), order.organizationId, ["GET", `/purchases/${purchase.id}?wait=1`]);
    if (answer?.status === 200) seen = answer.body as Purchase;
    else if (answer) expectRefusal(answer, [], order, tally);
    await sleep(PAUSE_MS);
  }
  tally.expect(false, `${order.key}: ${purchase.id} never came to an end`);
}

/** The address of a page at another instance: all have the same keys for pages. */
export function pageAt(link: string, route: Route): URL {
  const { pathname, search } = new URL(link);
  return new URL(`${pathname}${search}`, route());
}

/** Pays with the stored test card at any instance. */
async function payByCard(link: string, route: Route, tally: Tally): Promise<void> {
  const url = pageAt(link, route);
  try {
    const { status } = await actOnPage(url.href, "pay");
    tally.clicks += 1;
    tally.expect(status !== 500, `${url.pathname} answered ${status}`);
  } catch {
    // The instance is away, or somebody paid meanwhile: the purchase is read again.
  }
}

function purchaseOf({ status, body }: Answer): Purchase {
  return status === 402 ? (body as { purchase: Purchase }).purchase : (body as Purchase);
}

function isCode({ body }: Answer, code: string): boolean {
  return (body as { code?: string }).code === code;
}

function expectRefusal(answer: Answer, codes: readonly string[], { key }: Order, tally: Tally): void {
  const isMeant = TRY_AGAIN.includes(answer.status) || codes.some((code) => isCode(answer, code));
  tally.expect(isMeant, `${key} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
}

/** Exit codes after which to run again. 8: a person has to act; 9: nothing was bought; 10: unknown; 137: killed. */
const RUN_AGAIN = [8, 9, 10, 137];

/** Buys an order with the built program, each time at any instance, under the order's key. */
export async function buyWithCli(order: Order, route: Route, tally: Tally): Promise<void> {
  const until = performance.now() + ORDER_MS;
  while (order.end === null && performance.now() < until) {
    const args = ["buy", String(order.licenses), "--yes", "--json", "--timeout", "8", "--idempotency-key", order.key];
    const env = environmentFor(route(), order.organizationId);
    const { exitCode, stdout, stderr } = await runCli(args, { env, timeout: 150_000 });
    if (exitCode === 0) order.end = "succeeded";
    else if (exitCode === 6) order.end = "failed";
    else tally.expect(RUN_AGAIN.includes(exitCode), `${order.key} ended ${exitCode}: ${stdout} ${stderr}`);
  }
  tally.expect(order.end !== null, `${order.key} never came to an end`);
}
