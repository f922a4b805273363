import { type Kysely, type Migration, sql } from "kysely";

/** Adds what an identity token must say to be exchanged for an API token, and when an exchanged token expires. */
export const trustsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await db.schema.alterTable("api_tokens").addColumn("trust_json", "text").execute();
    await db.schema.alterTable("token_index").addColumn("expires_at", "bigint").execute();
    await sql`create index token_index_expiry on token_index (expires_at) where expires_at is not null`.execute(db);
  },
};
