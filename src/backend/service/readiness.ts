import type { BackendDeps } from "../deps.ts";
import { within } from "./within.ts";

/** How long the database has to answer, milliseconds. */
const DATABASE_MS = 1_000;

/** After how long without a measurement the clock is stale, milliseconds. */
export const CLOCK_STALE_MS = 300_000;

/** What readiness depends on. */
export interface ReadinessSources {
  isDraining(): boolean;
  /** How long ago the database's clock was last measured, milliseconds. */
  clockAge(): number;
  /** Whether this version knows the schema of the database, which it reads. */
  isSchemaKnown(): Promise<boolean>;
}

/**
 * Returns the check behind `/readyz`: not draining, the clock measured in the last 5 minutes, and the database answers
 * within a second with a schema that this version knows. The payment provider is not asked. A change is logged, with the
 * reason.
 */
export function createReadiness(deps: Pick<BackendDeps, "log">, sources: ReadinessSources): () => Promise<boolean> {
  let last: string | null = null;
  return async () => {
    const reason = await reasonNotReady(sources);
    if (reason !== last) deps.log(reason === null ? "ready again" : `not ready: ${reason}`);
    last = reason;
    return reason === null;
  };
}

async function reasonNotReady(sources: ReadinessSources): Promise<string | null> {
  if (sources.isDraining()) return "draining";
  if (sources.clockAge() >= CLOCK_STALE_MS) return "the database's clock was not measured for 5 minutes";
  const isSchemaKnown = await within(DATABASE_MS, sources.isSchemaKnown);
  if (isSchemaKnown === null) return "the database does not answer";
  return isSchemaKnown ? null : "the schema of the database is of another version";
}
