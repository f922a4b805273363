import type { Kysely } from "kysely";
import type { Database } from "../schema.ts";

/**
 * A step of the schema on PostgreSQL. Instances of this version and the one before serve while it runs, so it holds no
 * lock that they wait for, and what they read and write stays valid.
 */
export interface Step {
  /**
   * How it runs:
   * - `transaction`: in one, which also records it;
   * - `batches`: each statement by itself, within the time-outs of the service;
   * - `session`: each statement by itself on one connection, without a statement time-out. Not possible through PgBouncer.
   *
   * The last two are repeated, or continued, after they were interrupted anywhere.
   */
  readonly kind: "transaction" | "batches" | "session";
  /** @param name the step's own, which its progress is kept under */
  up(db: Kysely<Database>, name: string): Promise<void>;
}

/** Steps by name, in order. */
export type Steps = Readonly<Record<string, Step>>;

/** The setting that keeps how far a step came. */
export function progressOf(step: string): string {
  return `migration_progress:${step}`;
}
