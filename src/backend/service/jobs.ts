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
  /** `monotonic`: milliseconds that never go back. */
  readonly deps: { random(bytes: number): Buffer; monotonic(): number };
}

/** Starts what an instance with the role `jobs` does, and returns what ends it. */
export function startJobs(all: BackendDeps, { settings, deps, store }: JobsOf): () => Promise<void> {
  const backend = settings.roles.includes("http") ? { ...all, database: store.background } : all;
  const stops = [startSweeping(backend, sweepingOf(backend, settings, deps)), startReconciling(backend)];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}

/** How long an idle instance waits before it looks for work again, milliseconds. */
const MAX_PAUSE_MS = 5_000;

/** Renewals take a quarter of the requests to Stripe, two each, and leave the others to people who wait. */
const RENEWALS_PER_REQUEST = 1 / 4 / 2;

/** How long a round is busy with one listing of renewals, so that purchases are looked at every few seconds. */
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
