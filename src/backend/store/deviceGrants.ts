import type { Kysely } from "kysely";
import type { Database, DeviceGrantRow } from "./schema.ts";

/** How many wrong sign-ins under one user code end it (security.md, Signing in). */
const MOST_WRONG_SIGN_INS = 5;
/** What a device that polls too soon has to wait from then on, more than before (RFC 8628, section 3.5). */
const SLOWER_SECONDS = 5;

/** How a person decided. */
export type Decision = Pick<DeviceGrantRow, "user_id" | "mfa_at"> & { readonly state: "approved" | "denied" };

/**
 * Keeps a new device authorization and forgets those that ended before `oldest` (machine milliseconds).
 *
 * @returns false where another one has the same user code
 */
export async function saveGrant(database: Kysely<Database>, grant: DeviceGrantRow, oldest: number): Promise<boolean> {
  await database.deleteFrom("device_grants").where("expires_at", "<", oldest).execute();
  const saved = await database
    .insertInto("device_grants")
    .values(grant)
    .onConflict((conflict) => conflict.column("user_code_hash").doNothing())
    .returning("device_code_hash")
    .executeTakeFirst();
  return saved !== undefined;
}

/** The device authorization of a device code or a user code, in whatever state. */
export async function readGrant(
  database: Kysely<Database>,
  by: "device_code_hash" | "user_code_hash",
  hash: string,
): Promise<DeviceGrantRow | undefined> {
  return database.selectFrom("device_grants").selectAll().where(by, "=", hash).executeTakeFirst();
}

/**
 * Notes that a device polls. One that comes sooner than its interval has a longer one from then on.
 *
 * @returns whether it came in time
 */
export async function notePoll(database: Kysely<Database>, grant: DeviceGrantRow, now: number): Promise<boolean> {
  const inTime = await database
    .updateTable("device_grants")
    .set({ polled_at: now })
    .where("device_code_hash", "=", grant.device_code_hash)
    .where(({ eb, or, ref }) =>
      or([eb("polled_at", "is", null), eb(eb("polled_at", "+", eb(ref("interval_seconds"), "*", 1000)), "<=", now)]),
    )
    .executeTakeFirst();
  if (Number(inTime.numUpdatedRows) === 1) return true;
  await database
    .updateTable("device_grants")
    .set((expression) => ({ polled_at: now, interval_seconds: expression("interval_seconds", "+", SLOWER_SECONDS) }))
    .where("device_code_hash", "=", grant.device_code_hash)
    .execute();
  return false;
}

/** Writes down what the person decided, if nobody has decided and the time is not over. */
export async function decideGrant(
  database: Kysely<Database>,
  grant: DeviceGrantRow,
  decision: Decision,
  now: number,
): Promise<boolean> {
  const decided = await database
    .updateTable("device_grants")
    .set(decision)
    .where("device_code_hash", "=", grant.device_code_hash)
    .where("state", "=", "pending")
    .where("expires_at", ">", now)
    .executeTakeFirst();
  return Number(decided.numUpdatedRows) === 1;
}

/** Spends an approved device authorization; of several at once, one gets it. */
export async function takeGrant(
  tx: Kysely<Database>,
  grant: DeviceGrantRow,
): Promise<Pick<DeviceGrantRow, "user_id" | "mfa_at"> | undefined> {
  return tx
    .updateTable("device_grants")
    .set({ state: "used" })
    .where("device_code_hash", "=", grant.device_code_hash)
    .where("state", "=", "approved")
    .returning(["user_id", "mfa_at"])
    .executeTakeFirst();
}

/** Counts a wrong sign-in under a user code; the last one that is allowed denies it. */
export async function noteWrongSignIn(database: Kysely<Database>, grant: DeviceGrantRow): Promise<void> {
  const pending = database
    .updateTable("device_grants")
    .where("device_code_hash", "=", grant.device_code_hash)
    .where("state", "=", "pending");
  await pending.set((expression) => ({ tries: expression("tries", "+", 1) })).execute();
  await pending.set({ state: "denied" }).where("tries", ">=", MOST_WRONG_SIGN_INS).execute();
}
