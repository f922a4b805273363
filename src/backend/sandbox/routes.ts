import type { FastifyInstance } from "fastify";
import pLimit from "p-limit";
import { daysLater, startOfDateInZone } from "../../billing/calendar.ts";
import type { BackendDeps } from "../deps.ts";
import { isLoopbackAuthority } from "../http/authority.ts";
import { register } from "../http/register.ts";
import type { Capture } from "../payments/sandboxGateway.ts";
import { ProblemError } from "../problem.ts";
import { purchaseView } from "../purchases/views.ts";
import { newestSequence, renewalsAfter } from "../store/purchases.ts";
import { readSubscription } from "../store/subscriptions.ts";
import { pictureAt } from "../subscriptions/picture.ts";
import { advanceTo } from "./advance.ts";
import { instantOf, type SandboxClock } from "./clock.ts";
import { newestThatFit } from "./fitting.ts";

/** Dates are written with four digits of the year, and terms reach beyond today. */
const LAST_INSTANT = Date.parse("9001-01-01T00:00:00Z");

/** What only a sandbox has. */
export interface SandboxControls {
  readonly clock: SandboxClock;
  /** The billing time zone that dates without an organization are read in. */
  readonly timeZone: string;
  captures(): Capture[];
  /** Does something with very many commits, see `dataFolder.ts`. */
  inAHurry<Result>(work: () => Promise<Result>): Promise<Result>;
}

/** `/sandbox` and `/sandbox/clock`, for callers on this machine only (contract.md; details.md, 19). */
export function registerSandbox(app: FastifyInstance, deps: BackendDeps, controls: SandboxControls): void {
  app.addHook("onRequest", async (request) => {
    if (!isLoopbackAuthority(request.host)) {
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

  const oneAtATime = pLimit(1);
  register(app, deps, "advanceClock", ({ body, request }) =>
    oneAtATime(async () => {
      const now = controls.clock.now();
      const target = await targetOf(deps, controls, body, now);
      assertAhead(now, target);
      const newest = await newestSequence(deps.database);
      await controls.inAHurry(() => advanceTo(deps, controls.clock, target));
      const rows = await renewalsAfter(deps.database, newest);
      const renewals = rows.map((row) => purchaseView(deps, row, request.host));
      return {
        status: 200,
        body: { now: new Date(controls.clock.now()).toISOString(), ...newestThatFit(renewals) },
      };
    }),
  );
}

function assertAhead(now: number, target: number): void {
  if (target > LAST_INSTANT) throw new ProblemError("invalid_request", "The clock does not go beyond the year 9000");
  if (target >= now) return;
  throw new ProblemError(
    "clock_moves_forward_only",
    `The clock is at ${new Date(now).toISOString()} and never moves back`,
  );
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
