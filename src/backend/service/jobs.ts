import type { PostgresStore } from "../database/postgres.ts";
import type { BackendDeps } from "../deps.ts";
import { pace } from "../pace.ts";
import { followDue } from "../renewals/atProvider.ts";
import { BUCKETS } from "../renewals/due.ts";
import { type SweepingOptions, startSweeping } from "../sweep.ts";
import { startReconciling } from "./reconcileJob.ts";
import type { ServiceSettings } from "./settings.ts";
import { handleEvents } from "./webhookJob.ts";

/** What jobs take from an instance. */
interface JobsOf {
  readonly settings: ServiceSettings;
  readonly store: Pick<PostgresStore, "background">;
  /** `monotonic`: a clock that never goes back, milliseconds. */
  readonly deps: { random(bytes: number): Buffer; monotonic(): number };
}

/** Starts the background work of an instance with the role `jobs`; returns a function that stops it. */
export function startJobs(all: BackendDeps, { settings, deps, store }: JobsOf): () => Promise<void> {
  const backend = settings.roles.includes("http") ? { ...all, database: store.background } : all;
  const stops = [startSweeping(backend, sweepingOf(backend, settings, deps)), startReconciling(backend)];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}

/** How long an idle instance waits before it looks for work again, milliseconds. */
const MAX_PAUSE_MS = 5_000;

/** Renewals use a quarter of the requests to Stripe, two each, and leave the rest to people who are waiting. */
const RENEWALS_PER_REQUEST = 1 / 4 / 2;

/** How many seconds of renewals a round takes on, so that purchases are checked every few seconds. */
const RENEWALS_S = 2;

function sweepingOf(
  backend: BackendDeps,
  settings: ServiceSettings,
  { random, monotonic }: JobsOf["deps"],
): SweepingOptions {
  const { jobs, payments } = settings;
  const common = { jobs, bucket: random(1).readUInt8(0) % BUCKETS, maxPauseMs: MAX_PAUSE_MS };
  if (payments.provider !== "stripe") return common;
  const rate = payments.rate * RENEWALS_PER_REQUEST;
  return {
    ...common,
    more: [() => handleEvents(backend, jobs), () => followDue(backend, jobs)],
    renewals: { most: Math.ceil(rate * RENEWALS_S), begin: pace({ rate, monotonic }) },
  };
}
