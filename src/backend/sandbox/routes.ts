import { setTimeout as delay } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { daysLater, startOfDateInZone } from "../../billing/calendar.ts";
import type { BackendDeps } from "../deps.ts";
import { register } from "../http/register.ts";
import type { Capture } from "../payments/sandboxGateway.ts";
import { ProblemError } from "../problem.ts";
import { advancePurchase } from "../purchases/processor.ts";
import { sweep } from "../purchases/sweep.ts";
import { purchasesUnderWay } from "../store/leases.ts";
import { writeSetting } from "../store/seeding.ts";
import { readSubscription } from "../store/subscriptions.ts";
import { pictureAt } from "../subscriptions/picture.ts";
import { instantOf, type SandboxClock } from "./clock.ts";

/** The name of the setting that keeps the clock's distance from the machine's. */
export const CLOCK_SETTING = "clock_distance";

/** Dates are written with four digits of the year, and terms reach beyond today. */
const LAST_INSTANT = Date.parse("9001-01-01T00:00:00Z");

/** Longer than a payment of the sandbox takes to settle. */
const SETTLING_MS = 5_000;

/** What only a sandbox has. */
export interface SandboxControls {
  readonly clock: SandboxClock;
  /** The billing time zone that dates without an organization are read in. */
  readonly timeZone: string;
  captures(): Capture[];
}

/** `/sandbox` and `/sandbox/clock`, for callers on this machine only (contract.md; details.md, 19). */
export function registerSandbox(app: FastifyInstance, deps: BackendDeps, controls: SandboxControls): void {
  app.addHook("onRequest", async (request) => {
    if (!isLoopbackName(request.hostname)) {
      throw new ProblemError(
        "forbidden",
        "A sandbox answers only to the names of this machine: localhost, 127.0.0.1, [::1]",
      );
    }
  });

  register(app, deps, "getSandbox", async () => ({
    status: 200,
    body: { now: new Date(controls.clock.now()).toISOString(), captures: controls.captures() },
  }));

  register(app, deps, "advanceClock", async ({ body }) => {
    const now = controls.clock.now();
    const target = await targetOf(deps, controls, body, now);
    if (target > LAST_INSTANT) throw new ProblemError("invalid_request", "The clock does not go beyond the year 9000");
    if (target < now) {
      throw new ProblemError(
        "clock_moves_forward_only",
        `The clock is at ${new Date(now).toISOString()} and never moves back`,
      );
    }
    await settleUnderWay(deps);
    controls.clock.moveTo(target);
    await writeSetting(deps.database, CLOCK_SETTING, String(controls.clock.distance()));
    await sweep(deps);
    return { status: 200, body: { now: new Date(controls.clock.now()).toISOString(), renewals: [] } };
  });
}

/** What is being paid has its time before the clock moves: the provider follows the machine's (details.md, 19 and 26). */
async function settleUnderWay(deps: BackendDeps): Promise<void> {
  const end = deps.now() + SETTLING_MS;
  for (;;) {
    const underWay = await purchasesUnderWay(deps.database);
    if (underWay.length === 0 || deps.now() >= end) return;
    for (const purchaseId of underWay) await advancePurchase(deps, purchaseId);
    await delay(100);
  }
}

type ClockRequest = { to: string } | { days: number } | { toRenewalOf: number };

async function targetOf(
  deps: BackendDeps,
  controls: SandboxControls,
  request: ClockRequest,
  now: number,
): Promise<number> {
  if ("to" in request) return instantOf(request.to, now, controls.timeZone);
  if ("days" in request) return daysLater(now, request.days, controls.timeZone);
  const row = await readSubscription(deps.database, request.toRenewalOf);
  return Math.max(now, startOfDateInZone(pictureAt(row, now).term.renewalDate, row.time_zone));
}

function isLoopbackName(hostname: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(hostname);
}
