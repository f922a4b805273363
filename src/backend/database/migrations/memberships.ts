import { type Kysely, type Migration, sql } from "kysely";
import { hasColumn } from "./dialect.ts";

/**
 * Moves what an organization knows of a person (`idUser`, uuid, names, email) from the person to the membership, and
 * lets a membership wait until the person accepts it. Existing memberships are accepted and keep their idUser; where a
 * person is in several organizations, the first one keeps it and the others get their own.
 */
export const membershipsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    // A process may have crashed after this was committed and before the migrator recorded it.
    if (await hasColumn(db, ["members", "accepted"])) return;
    await db.transaction().execute(rebuildMembers);
  },
};

/** SQLite cannot add a primary key to a table, so a new table replaces the old one. */
async function rebuildMembers(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable("memberships")
    .addColumn("id", "integer", (c) => c.primaryKey().autoIncrement())
    .addColumn("organization_id", "integer", (c) => c.notNull().references("organizations.id"))
    .addColumn("user_id", "integer", (c) => c.notNull().references("users.id"))
    .addColumn("uuid", "text", (c) => c.notNull().unique())
    .addColumn("email", "text", (c) => c.notNull())
    .addColumn("first_name", "text")
    .addColumn("last_name", "text")
    .addColumn("role", "integer", (c) => c.notNull())
    .addColumn("admin_no_training", "integer", (c) => c.notNull())
    .addColumn("status", "text", (c) => c.notNull())
    .addColumn("joined_at", "bigint")
    .addColumn("assignment_strategy", "text", (c) => c.notNull())
    .addColumn("accepted", "integer", (c) => c.notNull())
    .addUniqueConstraint("memberships_person", ["organization_id", "user_id"] as never)
    .execute();
  await copyMembers(db);
  await db.schema.dropTable("members").execute();
  await db.schema.alterTable("memberships").renameTo("members").execute();
  await db.schema.createIndex("members_user").on("members").column("user_id").execute();
  for (const column of ["first_name", "last_name"]) await db.schema.alterTable("users").dropColumn(column).execute();
}

/** A person's first membership that was not removed gets the ID and the uuid of the person. */
async function copyMembers(db: Kysely<unknown>): Promise<void> {
  await sql`
    insert into memberships (id, organization_id, user_id, uuid, email, first_name, last_name, role, admin_no_training,
      status, joined_at, assignment_strategy, accepted)
    select case when nth = 1 then user_id else highest + row_number() over (order by nth, organization_id, user_id) end,
      organization_id, user_id, case when nth = 1 then uuid else ${RANDOM_UUID} end, email, first_name, last_name, role,
      admin_no_training, status, joined_at, assignment_strategy, 1
    from (
      select members.*, users.uuid, users.email, users.first_name, users.last_name,
        (select max(id) from users) as highest,
        row_number() over (
          partition by user_id order by case when status = 'REMOVED' then 1 else 0 end, organization_id
        ) as nth
      from members join users on users.id = members.user_id
    ) as numbered`.execute(db);
}

/** A random UUID (RFC 9562, section 5.4). */
const RANDOM_UUID = sql`lower(
  hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' ||
  substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))`;
