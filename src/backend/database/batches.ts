import { setImmediate } from "node:timers/promises";

/** SQLite and PostgreSQL take so many bound values at once; a row has at most 13 of them. */
const BATCH = 500;

/**
 * Rows in their order, in pieces that one statement takes. Between two of them everybody else has a turn: SQLite works in
 * this very thread.
 */
export async function* batches<Row>(rows: readonly Row[]): AsyncGenerator<Row[]> {
  for (let start = 0; start < rows.length; start += BATCH) {
    if (start > 0) await setImmediate();
    yield rows.slice(start, start + BATCH);
  }
}
