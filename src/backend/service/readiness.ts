import type { BackendDeps } from "../deps.ts";
import { within } from "./within.ts";

/** How long to wait for the database, milliseconds. */
const DATABASE_MS = 1_000;

/** The age of the last measurement at which the clock is stale, milliseconds. */
export const CLOCK_STALE_MS = 300_000;

/** What readiness depends on. */
export interface ReadinessSources {
  isDraining(): boolean;
  /** How long ago the database's clock was last measured, milliseconds. */
  clockAge(): number;
  /** Queries the database: whether this version supports its schema. */
  isSchemaKnown(): Promise<boolean>;
}

/**
 * Returns the check behind `/readyz`: not draining, the clock measured in the last 5 minutes, and the database responds
 * within a second and has a schema that this version supports. The payment provider is not checked. Changes are logged
 * with the reason.
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
  if (sources.clockAge() >= CLOCK_STALE_MS) return "the database clock was not measured for 5 minutes";
  const isSchemaKnown = await within(DATABASE_MS, sources.isSchemaKnown);
  if (isSchemaKnown === null) return "the database is not responding";
  return isSchemaKnown ? null : "the database schema is from another version";
}
