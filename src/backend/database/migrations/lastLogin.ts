import { type Kysely, type Migration, type RawBuilder, sql } from "kysely";
import type { Dialect } from "./dialect.ts";

/** Adds when a member was last added, and last signed in. SQLite adds one column a statement. */
export const lastLoginMigration: Migration = {
  async up(db: Kysely<unknown>) {
    for (const column of ["added_at", "last_login"]) {
      await db.schema.alterTable("members").addColumn(column, "bigint").execute();
    }
  },
};

/** Takes from the audit log when those were added who have not joined. Only their rows are locked. */
export function addedMigration(dialect: Dialect): Migration {
  const id: RawBuilder<unknown> =
    dialect === "sqlite" ? sql`json_extract(data_json, '$.idUser')` : sql`(data_json::json ->> 'idUser')::bigint`;
  return {
    async up(db: Kysely<unknown>) {
      await sql`
        update members set added_at = added.at
        from (
          select organization_id, ${id} as id, max(at) as at from events where type = 'user.added' group by 1, 2
        ) as added
        where members.organization_id = added.organization_id and members.id = added.id and members.joined_at is null`.execute(
        db,
      );
    },
  };
}

/**
 * Creates the index that counts idle users. It is built in a transaction, because it also has to be possible on
 * partitions and through PgBouncer: changes of users wait for it, for about a second a million rows; sales do not.
 */
export const idleIndexMigration: Migration = {
  async up(db: Kysely<unknown>) {
    await sql`create index members_idle on members (
        organization_id,
        (case when last_login > coalesce(joined_at, added_at) then last_login else coalesce(joined_at, added_at) end))
      where status <> 'REMOVED' and not (admin_no_training = 1 and role < 7)`.execute(db);
  },
};
