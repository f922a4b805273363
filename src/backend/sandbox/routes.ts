import type { FastifyInstance } from "fastify";
import pLimit from "p-limit";
import { addDaysInZone, addIntervals, dateInZone, daysBetween, startOfDateInZone } from "../../billing/calendar.ts";
import type { Purchase } from "../../contract/billing.ts";
import { MAX_CLOCK_YEARS } from "../../contract/constants.ts";
import { type AppOptions, buildApp } from "../app.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { type RouteDeps, register } from "../http/register.ts";
import { isLoopbackAuthority } from "../http/server.ts";
import type { CapturePage } from "../payments/sandboxGateway.ts";
import { purchaseView } from "../purchases/views.ts";
import { readSubscription } from "../subscriptions/store.ts";
import { snapshotAt } from "../subscriptions/view.ts";
import { advanceTo, instantOf, type SandboxClock } from "./clock.ts";
import { countRenewals, newestPurchase, type RenewalRange, renewalsBefore } from "./renewals.ts";

/** Years have four digits, and terms reach beyond today. */
const LAST_INSTANT = Date.parse("9001-01-01T00:00:00Z");

/** How many renewals to read at once. */
const RENEWALS_PAGE = 200;

/** The controls of a sandbox. */
export interface SandboxControls {
  readonly clock: SandboxClock;
  /** The time zone of dates without an organization. */
  readonly timeZone: string;
  /** Lists a page of the provider's captures, after a cursor. */
  captures(after?: number): CapturePage;
}

/** Registers `/sandbox` and `/sandbox/clock`, and refuses hosts other than loopback (src/backend/README.md, Sandbox). */
export function registerSandbox(app: FastifyInstance, deps: RouteDeps, controls: SandboxControls): void {
  app.addHook("onRequest", async (request) => {
    if (!isLoopbackAuthority(request.host)) {
      throw new BackendError("forbidden", "A sandbox answers only to loopback hosts: localhost, 127.0.0.1, [::1]");
    }
  });

  register(app, deps, "getSandbox", async ({ query }) => {
    const { captures, next } = controls.captures(query.after === undefined ? 0 : Number(query.after));
    return { status: 200, body: { now: clockText(controls), captures, next: next === null ? null : String(next) } };
  });

  const oneAtATime = pLimit(1);
  register(app, deps, "advanceClock", ({ body, request }) =>
    oneAtATime(async () => {
      const now = controls.clock.now();
      const target = await targetOf(deps, controls, body, now);
      assertAhead(now, target);
      const after = await newestPurchase(deps.database);
      await advanceTo(deps, controls.clock, target);
      const made = { after, until: await newestPurchase(deps.database) };
      const renewals = await newestRenewalsWithin(renewalPages(deps, made, request.host));
      const count = await countRenewals(deps.database, made);
      const more = count > renewals.length && { renewalCount: count };
      return { status: 200, body: { now: clockText(controls), renewals, ...more } };
    }),
  );
}

/** Refuses a target more than `MAX_CLOCK_YEARS` calendar years ahead. */
function assertNear(target: number, now: number, timeZone: string): number {
  const today = dateInZone(now, timeZone);
  const farthest = addDaysInZone(now, daysBetween(today, addIntervals(today, "year", MAX_CLOCK_YEARS)), timeZone);
  if (target <= farthest) return target;
  throw new BackendError(
    "invalid_request",
    `The clock moves at most ${MAX_CLOCK_YEARS} years at a time, now to ${new Date(farthest).toISOString()}`,
  );
}

function assertAhead(now: number, target: number): void {
  if (target > LAST_INSTANT) throw new BackendError("invalid_request", "The clock does not go beyond the year 9000");
  if (target >= now) return;
  throw new BackendError(
    "clock_moves_forward_only",
    `The clock is at ${new Date(now).toISOString()} and never moves back`,
  );
}

function clockText({ clock }: SandboxControls): string {
  return new Date(clock.now()).toISOString();
}

/** Reads the renewals of a range in pages, newest first. */
async function* renewalPages(deps: BackendDeps, range: RenewalRange, host: string): AsyncGenerator<Purchase[]> {
  for (let until = range.until; ; ) {
    const rows = await renewalsBefore(deps.database, { after: range.after, until }, RENEWALS_PAGE);
    yield rows.map((row) => purchaseView(deps, row, host));
    const last = rows.at(-1);
    if (last === undefined) return;
    until = last.inserted - 1;
  }
}

type ClockRequest = { to: string } | { days: number } | { toRenewalOf: number };

async function targetOf(
  deps: BackendDeps,
  controls: SandboxControls,
  request: ClockRequest,
  now: number,
): Promise<number> {
  if ("to" in request) return assertNear(instantOf(request.to, now, controls.timeZone), now, controls.timeZone);
  if ("days" in request) return assertNear(addDaysInZone(now, request.days, controls.timeZone), now, controls.timeZone);
  const row = await readSubscription(deps.database, request.toRenewalOf);
  return Math.max(now, startOfDateInZone(snapshotAt(row, now).term.renewalDate, row.time_zone));
}

/** Builds the backend with the calls of a sandbox. It does not listen by itself. */
export async function sandboxApp(
  backend: BackendDeps,
  signIn: AppOptions["signIn"],
  controls: SandboxControls,
): Promise<FastifyInstance> {
  const app = buildApp(backend, { signIn, extend: (extended, deps) => registerSandbox(extended, deps, controls) });
  await app.ready();
  return app;
}

/** The size of an answer's renewals; clients refuse answers over a million bytes. */
const MAX_BYTES = 900_000;

/**
 * Collects as many of the newest renewals as fit into one answer, and reads no more pages than needed.
 *
 * @param pages newest first
 * @returns oldest first
 */
export async function newestRenewalsWithin(pages: AsyncIterable<readonly Purchase[]>): Promise<Purchase[]> {
  const renewals: Purchase[] = [];
  let bytes = 0;
  for await (const page of pages) {
    for (const renewal of page) {
      bytes += Buffer.byteLength(JSON.stringify(renewal)) + 1;
      if (bytes > MAX_BYTES) return renewals.reverse();
      renewals.push(renewal);
    }
  }
  return renewals.reverse();
}
