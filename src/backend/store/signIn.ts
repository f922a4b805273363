import type { Kysely } from "kysely";
import type { Database, TicketRow } from "./schema.ts";

/** What somebody tries to guess, an account by its email in lower case, and the address that they try it from. */
export interface Place {
  readonly account: string;
  readonly address: string;
}

/**
 * Notes an attempt before it is judged, so that attempts at the same time count one another, and forgets those before
 * `since`. `takeBackAttempt` takes it back where it was a good one.
 *
 * @param attempt `at` in machine milliseconds
 * @returns how many others there were since then: of the account from the address, and of anybody from it
 */
export async function noteAttempt(
  database: Kysely<Database>,
  attempt: Place & { id: string; at: number },
  since: number,
): Promise<{ account: number; address: number }> {
  const { id, account, address, at } = attempt;
  await database.deleteFrom("sign_in_attempts").where("at", "<", since).execute();
  await database.insertInto("sign_in_attempts").values({ id, email_key: account, address, at }).execute();
  const rows = await database
    .selectFrom("sign_in_attempts")
    .select("email_key")
    .where("address", "=", address)
    .where("at", ">=", since)
    .execute();
  return { account: rows.filter((row) => row.email_key === account).length - 1, address: rows.length - 1 };
}

/** Takes back one attempt: it was no failure. */
export async function takeBackAttempt(database: Kysely<Database>, id: string): Promise<void> {
  await database.deleteFrom("sign_in_attempts").where("id", "=", id).execute();
}

/** Forgets an account's attempts from an address: its person has proved that they are there. */
export async function forgetAttempts(database: Kysely<Database>, { account, address }: Place): Promise<void> {
  await database
    .deleteFrom("sign_in_attempts")
    .where("address", "=", address)
    .where("email_key", "=", account)
    .execute();
}

/**
 * Spends a user's one-time code of a step, once, whoever asks at the same time; steps before `oldest` are forgotten.
 *
 * @returns whether this call was the one that spent it
 */
export async function spendCode(
  database: Kysely<Database>,
  code: { userId: number; step: number },
  oldest: number,
): Promise<boolean> {
  await database.deleteFrom("used_codes").where("step", "<", oldest).execute();
  const spent = await database
    .insertInto("used_codes")
    .values({ user_id: code.userId, step: code.step })
    .onConflict((conflict) => conflict.columns(["user_id", "step"]).doNothing())
    .returning("step")
    .executeTakeFirst();
  return spent !== undefined;
}

/** Keeps a ticket, and forgets those that have expired at `now` (machine milliseconds). */
export async function saveTicket(database: Kysely<Database>, ticket: TicketRow, now: number): Promise<void> {
  await database.deleteFrom("sign_in_tickets").where("expires_at", "<=", now).execute();
  await database.insertInto("sign_in_tickets").values(ticket).execute();
}

/** Which ticket is meant, and when (machine milliseconds). */
export interface TicketQuestion {
  readonly hash: string;
  readonly kind: TicketRow["kind"];
  readonly now: number;
}

/** A ticket that has not expired. */
export async function findTicket(
  database: Kysely<Database>,
  { hash, kind, now }: TicketQuestion,
): Promise<TicketRow | undefined> {
  return database
    .selectFrom("sign_in_tickets")
    .selectAll()
    .where("ticket_hash", "=", hash)
    .where("kind", "=", kind)
    .where("expires_at", ">", now)
    .executeTakeFirst();
}

/** Counts a try at a ticket; nothing where it has expired or had `most` tries already. */
export async function countTry(
  database: Kysely<Database>,
  { hash, kind, now }: TicketQuestion,
  most: number,
): Promise<TicketRow | undefined> {
  return database
    .updateTable("sign_in_tickets")
    .set((expression) => ({ tries: expression("tries", "+", 1) }))
    .where("ticket_hash", "=", hash)
    .where("kind", "=", kind)
    .where("expires_at", ">", now)
    .where("tries", "<", most)
    .returningAll()
    .executeTakeFirst();
}

/** Spends a ticket; of several at once, one finds it. */
export async function takeTicket(database: Kysely<Database>, hash: string): Promise<boolean> {
  const result = await database.deleteFrom("sign_in_tickets").where("ticket_hash", "=", hash).executeTakeFirst();
  return Number(result.numDeletedRows) === 1;
}
