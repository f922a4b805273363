import { type Kysely, sql } from "kysely";
import type { Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { readSetting, writeSetting } from "../seeding/store.ts";
import { databaseNow } from "./clock.ts";

/** Why buying is on hold: the database was restored, or an operator ran `serve admin hold`. */
type HoldReason = "restore" | "operator";

/**
 * A hold on buying until the payments are reconciled (src/backend/service/README.md, Restore). Instants are in
 * milliseconds.
 */
export interface Hold {
  readonly reason: HoldReason;
  readonly at: number;
  /** When an instance last recorded that it sells on this data. Lost purchases are later. `null` if none ever did. */
  readonly since: number | null;
}

const HOLD = "hold";
const TIMELINE = "timeline";
const ALIVE_AT = "alive_at";

/** Reads the hold; `null` if buying is not on hold. */
export async function readHold(database: Kysely<Database>): Promise<Hold | null> {
  const text = await readSetting(database, HOLD);
  return text === null ? null : (JSON.parse(text) as Hold);
}

/** Puts buying on hold. An existing hold is kept. */
export async function holdBuying(database: Kysely<Database>, reason: HoldReason): Promise<Hold> {
  const at = Math.round(await databaseNow(database));
  return inTransaction(database, async (tx) => {
    const aliveAt = await readSetting(tx, ALIVE_AT);
    const hold: Hold = { reason, at, since: aliveAt === null ? null : Number(aliveAt) };
    await tx
      .insertInto("settings")
      .values({ name: HOLD, value: JSON.stringify(hold) })
      .onConflict((conflict) => conflict.column("name").doNothing())
      .execute();
    return (await readHold(tx)) ?? hold;
  });
}

/** Ends the hold. Returns whether there was one. */
export async function releaseBuying(database: Kysely<Database>): Promise<boolean> {
  const { numDeletedRows } = await database.deleteFrom("settings").where("name", "=", HOLD).executeTakeFirst();
  return numDeletedRows > 0n;
}

/** The role cannot call the function, or the server does not have it. */
const NOT_READABLE = /^(42501|42883|0A000)$/;

/**
 * Reads the timeline of the database, which PostgreSQL increments when a backup is restored or a standby is promoted.
 *
 * @returns `null` if the role cannot read it
 */
export async function readTimeline(database: Kysely<Database>): Promise<string | null> {
  try {
    const { rows } = await sql<{ timeline: number }>`
      select timeline_id as timeline from pg_control_checkpoint()`.execute(database);
    return rows[0] ? String(rows[0].timeline) : null;
  } catch (error) {
    if (NOT_READABLE.test(String((error as { code?: unknown }).code))) return null;
    throw error;
  }
}

/**
 * Compares the timeline with the stored one, puts buying on hold if it changed, and stores it.
 *
 * @returns the previous timeline if it changed, otherwise `null`
 */
async function noticeRestore(database: Kysely<Database>, timeline: string): Promise<string | null> {
  const known = await readSetting(database, TIMELINE);
  if (known === timeline) return null;
  // Place the hold before storing the new timeline. A concurrent instance does the same.
  if (known !== null) await holdBuying(database, "restore");
  await writeSetting(database, TIMELINE, timeline);
  return known;
}

/** How often an instance checks for a hold, and records that it sells, milliseconds. */
const [LOOK_EVERY_MS, ALIVE_EVERY_MS] = [2_000, 60_000];

/** Whether an instance may sell. */
export interface Holding {
  isHeld(): boolean;
  stop(): Promise<void>;
}

interface HoldingDeps {
  /** The database's clock, milliseconds. */
  now(): number;
  log(line: string): void;
}

/**
 * Checks now and every 2 seconds whether buying is on hold, and puts it on hold if the database was restored. If a
 * check fails, the last state is kept.
 */
export async function startHolding(database: Kysely<Database>, deps: HoldingDeps): Promise<Holding> {
  let isHeld = false;
  let aliveAt = Number.NEGATIVE_INFINITY;
  const isReadable = (await readTimeline(database)) !== null;
  const look = async () => {
    const timeline = isReadable ? await readTimeline(database) : null;
    const before = timeline === null ? null : await noticeRestore(database, timeline);
    if (before !== null) deps.log(`the database was restored: timeline ${before} is now ${timeline}`);
    const hold = await readHold(database);
    if ((hold !== null) !== isHeld)
      deps.log(hold ? `buying is on hold (${hold.reason})` : "buying is no longer on hold");
    isHeld = hold !== null;
    if (isHeld || deps.now() - aliveAt < ALIVE_EVERY_MS) return;
    aliveAt = deps.now();
    await writeSetting(database, ALIVE_AT, String(aliveAt));
  };
  await look();
  let looking = Promise.resolve();
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    looking = look()
      .catch((error) => deps.log(`holding: ${error}`))
      .finally(() => {
        isBusy = false;
      });
  }, LOOK_EVERY_MS);
  return {
    isHeld: () => isHeld,
    async stop() {
      clearInterval(timer);
      await looking;
    },
  };
}
