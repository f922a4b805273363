import { setImmediate } from "node:timers/promises";

/** Rows per statement: SQLite and PostgreSQL bind at most 32,766 values at once, and a row has at most 15. */
const BATCH = 500;

/** Splits rows into batches for one statement each. Lets requests in between batches, because SQLite blocks the event loop. */
export async function* batches<Row>(rows: readonly Row[]): AsyncGenerator<Row[]> {
  for (let start = 0; start < rows.length; start += BATCH) {
    if (start > 0) await setImmediate();
    yield rows.slice(start, start + BATCH);
  }
}
