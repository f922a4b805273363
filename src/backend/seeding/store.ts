import type { Insertable, Kysely } from "kysely";
import { batches } from "../database/batches.ts";
import type { Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { findOrCreateUsers } from "../identity/memberships.ts";
import type { SecretBox } from "../identity/secretBox.ts";

/** The rows of an organization of a seed. */
export interface SeedRows {
  readonly organization: Insertable<Database["organizations"]>;
  readonly subscription: Insertable<Database["subscriptions"]>;
  readonly users: readonly Insertable<Database["users"]>[];
  /** The secrets of one-time codes in plain text, by the user's `email_key`. */
  readonly totpSecrets: ReadonlyMap<string, string>;
  /** By the user's `email_key`. */
  readonly members: readonly (Omit<Insertable<Database["members"]>, "user_id"> & { email_key: string })[];
  readonly tokens: readonly (Omit<Insertable<Database["api_tokens"]>, "user_id"> & {
    email_key: string;
    token_hash: string;
  })[];
}

/** Stands for the secret of a new user until the transaction has their ID, which encrypting it needs. */
export const UNENCRYPTED = "";

/** Seeds an empty store in one transaction, and saves the settings that identify the seed. */
export async function seedStore(
  database: Kysely<Database>,
  organizations: readonly SeedRows[],
  settings: Readonly<Record<string, string>>,
  secrets: SecretBox,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    for (const rows of organizations) await insertOrganization(tx, rows, secrets);
    for (const [name, value] of Object.entries(settings)) await writeSetting(tx, name, value);
  });
}

async function insertOrganization(tx: Kysely<Database>, rows: SeedRows, secrets: SecretBox): Promise<void> {
  await tx.insertInto("organizations").values(rows.organization).execute();
  await tx.insertInto("subscriptions").values(rows.subscription).execute();
  await insertProviderObjects(tx, rows.subscription);
  const ids = await findOrCreateUsers(tx, rows.users);
  for (const [emailKey, secret] of rows.totpSecrets) {
    const id = ids.get(emailKey) ?? 0;
    const encrypted = { totp_secret: secrets.encrypt(id, secret) };
    await tx.updateTable("users").set(encrypted).where("id", "=", id).where("totp_secret", "=", UNENCRYPTED).execute();
  }
  const owned = <Row extends { email_key: string }>({ email_key, ...row }: Row) => ({
    ...row,
    user_id: ids.get(email_key) ?? 0,
  });
  for await (const batch of batches(rows.members)) await tx.insertInto("members").values(batch.map(owned)).execute();
  for await (const batch of batches(rows.tokens)) {
    const tokens = batch.map(owned).map(({ token_hash: _, ...token }) => token);
    await tx.insertInto("api_tokens").values(tokens).execute();
    const hashes = batch.map(({ token_hash, organization_id, id: token_id }) => ({
      token_hash,
      organization_id,
      token_id,
    }));
    await tx.insertInto("token_index").values(hashes).execute();
  }
}

/** Notes whose the customer and the subscription at the provider are. The subscription is looked at once at the start. */
async function insertProviderObjects(
  tx: Kysely<Database>,
  { organization_id, customer_id, provider_subscription }: SeedRows["subscription"],
): Promise<void> {
  const customer = customer_id ? [{ id: customer_id, kind: "customer", organization_id, check_at: null } as const] : [];
  const subscription = provider_subscription
    ? [{ id: provider_subscription, kind: "subscription", organization_id, check_at: 0 } as const]
    : [];
  const objects = [...customer, ...subscription];
  if (objects.length > 0) await tx.insertInto("provider_objects").values(objects).execute();
}

/** Lists the users, of those given, without a password hash. */
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

/** Whether any user's password is not hashed yet. */
export async function hasUnhashedPasswords(database: Kysely<Database>): Promise<boolean> {
  const row = await database.selectFrom("users").select("id").where("password_hash", "is", null).executeTakeFirst();
  return row !== undefined;
}

/** Reads a setting of the store; `null` if it is not set. */
export async function readSetting(database: Kysely<Database>, name: string): Promise<string | null> {
  const row = await database.selectFrom("settings").select("value").where("name", "=", name).executeTakeFirst();
  return row?.value ?? null;
}

/** Writes a setting of the store. */
export async function writeSetting(database: Kysely<Database>, name: string, value: string): Promise<void> {
  await database
    .insertInto("settings")
    .values({ name, value })
    .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
    .execute();
}

/** Reads the key that signs the URLs of payment pages, and creates it the first time. */
export async function readPageKey(database: Kysely<Database>, random: (bytes: number) => Buffer): Promise<Buffer> {
  await database
    .insertInto("settings")
    .values({ name: "page_key", value: random(32).toString("base64url") })
    .onConflict((conflict) => conflict.column("name").doNothing())
    .execute();
  return Buffer.from((await readSetting(database, "page_key")) ?? "", "base64url");
}
