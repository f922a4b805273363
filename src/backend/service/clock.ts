import { type Kysely, sql } from "kysely";
import type { Database } from "../database/schema.ts";

/** How often the difference to the database's clock is measured, milliseconds. */
const MEASURE_EVERY_MS = 30_000;

/** The clock of the database, which all instances share. */
export interface DatabaseClock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** What it is ahead of the machine's, milliseconds. */
  offset(): number;
  /** How long ago that was last measured, milliseconds. */
  age(): number;
  stop(): void;
}

/** The clock of this machine. */
interface Machine {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds that never go back. */
  monotonic(): number;
  log(line: string): void;
}

/**
 * Starts a clock that follows the database's: the machine's, plus a difference that is measured now and every 30 seconds.
 *
 * @throws the database's error, if the first measurement fails
 */
export async function startDatabaseClock(database: Kysely<Database>, machine: Machine): Promise<DatabaseClock> {
  let difference = await measureDifference(database, machine);
  let measuredAt = machine.monotonic();
  const timer = setInterval(async () => {
    try {
      difference = await measureDifference(database, machine);
      measuredAt = machine.monotonic();
    } catch (error) {
      machine.log(`clock: ${error}`);
    }
  }, MEASURE_EVERY_MS);
  return {
    now: () => machine.now() + difference,
    offset: () => difference,
    age: () => machine.monotonic() - measuredAt,
    stop: () => clearInterval(timer),
  };
}

const SAMPLES = 3;

/** The median of three differences, each taken in the middle of the round trip, in whole milliseconds. */
async function measureDifference(database: Kysely<Database>, machine: Pick<Machine, "now">): Promise<number> {
  const differences: number[] = [];
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const start = machine.now();
    const at = await databaseNow(database);
    differences.push(at - (start + machine.now()) / 2);
  }
  return Math.round(differences.sort((one, other) => one - other)[Math.floor(SAMPLES / 2)] ?? 0);
}

/** Reads the clock of the database, milliseconds since the epoch, which may have a fraction. */
export async function databaseNow(database: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ at: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::double precision as at`.execute(database);
  return rows[0]?.at ?? Number.NaN;
}
