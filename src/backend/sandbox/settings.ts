import type { Insertable, Kysely } from "kysely";
import { batches } from "../database/batches.ts";
import type { Database } from "../database/schema.ts";
import { findOrCreateUsers } from "../identity/memberships.ts";

/** Rows of an organization to begin with. */
export interface SeedRows {
  readonly organization: Insertable<Database["organizations"]>;
  readonly subscription: Insertable<Database["subscriptions"]>;
  readonly users: readonly Insertable<Database["users"]>[];
  /** By the user's `email_key`. */
  readonly members: readonly (Omit<Insertable<Database["members"]>, "user_id"> & { email_key: string })[];
  readonly tokens: readonly (Omit<Insertable<Database["api_tokens"]>, "user_id"> & { email_key: string })[];
}

/** Fills an empty store, all or nothing, and remembers what it was filled with. */
export async function seedStore(
  database: Kysely<Database>,
  organizations: readonly SeedRows[],
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  await database.transaction().execute(async (tx) => {
    for (const rows of organizations) await insertOrganization(tx, rows);
    for (const [name, value] of Object.entries(settings)) await writeSetting(tx, name, value);
  });
}

async function insertOrganization(tx: Kysely<Database>, rows: SeedRows): Promise<void> {
  await tx.insertInto("organizations").values(rows.organization).execute();
  await tx.insertInto("subscriptions").values(rows.subscription).execute();
  const ids = await findOrCreateUsers(tx, rows.users);
  const owned = <Row extends { email_key: string }>({ email_key, ...row }: Row) => ({
    ...row,
    user_id: ids.get(email_key) ?? 0,
  });
  for await (const batch of batches(rows.members)) await tx.insertInto("members").values(batch.map(owned)).execute();
  for await (const batch of batches(rows.tokens)) await tx.insertInto("api_tokens").values(batch.map(owned)).execute();
}

/** Those of the users who have no password hash yet. */
export async function usersWithoutPassword(database: Kysely<Database>, emailKeys: readonly string[]) {
  const found = [];
  for await (const batch of batches(emailKeys)) {
    found.push(
      ...(await database
        .selectFrom("users")
        .select(["id", "email_key"])
        .where("email_key", "in", batch)
        .where("password_hash", "is", null)
        .execute()),
    );
  }
  return found;
}

/** Whether the password of any user was never hashed. */
export async function hasUnhashedPasswords(database: Kysely<Database>): Promise<boolean> {
  const row = await database.selectFrom("users").select("id").where("password_hash", "is", null).executeTakeFirst();
  return row !== undefined;
}

/** A setting of the store, or `null`. */
export async function readSetting(database: Kysely<Database>, name: string): Promise<string | null> {
  const row = await database.selectFrom("settings").select("value").where("name", "=", name).executeTakeFirst();
  return row?.value ?? null;
}

/** Sets a setting of the store. */
export async function writeSetting(database: Kysely<Database>, name: string, value: string): Promise<void> {
  await database
    .insertInto("settings")
    .values({ name, value })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
    .execute();
}

/** The key that signs the addresses of payment pages, made the first time that it is asked for. */
export async function readPageKey(database: Kysely<Database>, random: (bytes: number) => Buffer): Promise<Buffer> {
  await database
    .insertInto("settings")
    .values({ name: "page_key", value: random(32).toString("base64url") })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
  return Buffer.from((await readSetting(database, "page_key")) ?? "", "base64url");
}
