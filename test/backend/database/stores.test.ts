import { randomBytes } from "node:crypto";
import { type Kysely, sql } from "kysely";
import { describe, expect, test } from "vitest";
import { emailsMigration } from "../../../src/backend/database/migrations/emails.ts";
import { membershipsMigration } from "../../../src/backend/database/migrations/memberships.ts";
import { renewalsMigration } from "../../../src/backend/database/migrations/renewals.ts";
import type { Database } from "../../../src/backend/database/schema.ts";
import { findOrCreateUsers, findUser } from "../../../src/backend/identity/memberships.ts";
import { secretBox } from "../../../src/backend/identity/secretBox.ts";
import { seedRows } from "../../../src/backend/sandbox/seedRows.ts";
import { seedStore } from "../../../src/backend/sandbox/store.ts";
import { addMember } from "../../../src/backend/users/store.ts";
import { NOON, organization } from "../support/backend.ts";
import { DIALECTS, openTestStore } from "../support/stores.ts";

/** The columns of the renewals migration. */
const secrets = secretBox([randomBytes(32)], randomBytes);

const ADDED = {
  subscriptions: ["renew_at", "reduction", "reduction_term", "unpaid_renewal"],
  purchases: ["attempted_at", "renewal_term", "grace_until"],
};

/** Recreates the empty tables as of before the memberships migration. */
async function backToPeopleOfAll(database: Kysely<Database>): Promise<void> {
  for (const column of ["first_name", "last_name"]) {
    await database.schema.alterTable("users").addColumn(column, "text").execute();
  }
  await database.schema.dropTable("members").execute();
  await sql`create table members (organization_id integer not null, user_id integer not null, role integer not null,
    admin_no_training integer not null, status text not null, joined_at bigint, assignment_strategy text not null,
    primary key (organization_id, user_id))`.execute(database);
}

describe.each(DIALECTS)("stores on %s", (dialect) => {
  test("can be created concurrently, side by side, and migrated again", async () => {
    const first = await openTestStore(dialect);
    const stores = [first, ...(await Promise.all([1, 2, 3].map(() => openTestStore(dialect))))];
    for (const { database, migrate } of stores) {
      await migrate();
      await database.insertInto("settings").values({ name: "only here", value: "1" }).execute();
      expect(await database.selectFrom("settings").selectAll().execute()).toHaveLength(1);
      // The columns of later migrations are in this store, not only in another one of the same database.
      expect(await database.selectFrom("api_tokens").select("created_at").execute()).toEqual([]);
    }
    for (const store of stores) await store.close();
  });

  test("from before the renewals migration get their next renewal", async () => {
    const { database, close } = await openTestStore(dialect);
    const anchored = { interval: "month", anchorDate: "2026-01-31" } as const;
    const made = organization({ timeZone: "America/New_York", usedLicenses: 0 });
    const renewing = { ...made, subscription: { ...made.subscription, ...anchored } };
    const ending = organization({ subscription: { ...made.subscription, autoRenew: false } });
    await seedStore(
      database,
      [renewing, ending].map((one) => seedRows(one, NOON, randomBytes)),
      {},
      secrets,
    );
    for (const index of ["subscriptions_due", "purchases_renewal"]) await database.schema.dropIndex(index).execute();
    for (const [table, columns] of Object.entries(ADDED)) {
      for (const column of columns) await database.schema.alterTable(table).dropColumn(column).execute();
    }
    await renewalsMigration.up(database);
    const rows = await database.selectFrom("subscriptions").select("renew_at").orderBy("organization_id").execute();
    expect(rows.map(({ renew_at }) => renew_at)).toEqual([Date.parse("2026-11-30T05:00:00Z"), null]);
    await close();
  });

  test("from before the memberships migration keep every idUser once, with accepted memberships", async () => {
    const { database, migrate, close } = await openTestStore(dialect);
    const [first, second, third] = [1, 2, 3].map(() => organization({ usedLicenses: 0, users: [], tokens: [] }));
    const ids = [first, second, third].map((one) => one?.id ?? 0) as [number, number, number];
    await seedStore(
      database,
      [first, second, third].flatMap((one) => (one ? [seedRows(one, NOON, randomBytes)] : [])),
      {},
      secrets,
    );
    await backToPeopleOfAll(database);
    // The IDs of three people: of one organization, of all three, and removed from the first one.
    const members = { 7: [1], 8: [0, 1, 2], 9: [0, 2] } as const;
    for (const [id, organizations] of Object.entries(members)) {
      const name = sql`${`Ada ${id}`}, 'Old'`;
      await sql`insert into users (id, uuid, email, email_key, password_hash, first_name, last_name)
        values (${Number(id)}, ${`uuid-${id}`}, ${`A${id}@example.test`}, ${`a${id}@example.test`}, '', ${name})`.execute(
        database,
      );
      for (const organizationId of organizations.map((index) => ids[index])) {
        const status = id === "9" && organizationId === ids[0] ? "REMOVED" : "ACTIVE";
        await sql`insert into members values (${organizationId}, ${Number(id)}, 3, 0, ${status}, 5, 'NONE')`.execute(
          database,
        );
      }
    }
    await membershipsMigration(dialect).up(database);
    const rows = await database
      .selectFrom("members")
      .selectAll()
      .orderBy("user_id")
      .orderBy("organization_id")
      .execute();
    expect(rows.map(({ user_id, organization_id, id }) => [user_id, ids.indexOf(organization_id), id])).toEqual([
      [7, 1, 7],
      [8, 0, 8],
      [8, 1, expect.any(Number)],
      [8, 2, expect.any(Number)],
      [9, 0, expect.any(Number)],
      [9, 2, 9],
    ]);
    expect(new Set(rows.flatMap(({ id, uuid }) => [id, uuid])).size).toBe(12);
    const uuids = rows.map(({ uuid }) => uuid);
    expect([uuids[0], uuids[1], uuids[5]]).toEqual(["uuid-7", "uuid-8", "uuid-9"]);
    for (const uuid of uuids.slice(2, 5)) {
      expect(uuid).toMatch(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    }
    expect(rows[3]).toMatchObject({
      email: "A8@example.test",
      first_name: "Ada 8",
      role: 3,
      joined_at: 5,
      accepted: 1,
    });
    // A later user gets a new ID.
    const change = { actor: "test", at: NOON };
    const later = { uuid: "later", email: "later@example.test", firstName: "Later", lastName: "On" };
    const training = { role: 3, adminNoTraining: true };
    const added = await addMember(database, ids[0], { ...later, ...training }, change);
    expect(added.id).toBeGreaterThan(Math.max(...rows.map(({ id }) => id)));
    await migrate();
    // After a crash before the migrator recorded it, it runs again; on SQLite it then does nothing, elsewhere it cannot happen.
    if (dialect === "sqlite") await membershipsMigration(dialect).up(database);
    expect(await database.selectFrom("members").select("id").execute()).toHaveLength(7);
    await close();
  });

  test("from before the emails migration still find everyone, in any spelling", async () => {
    const { database, close } = await openTestStore(dialect);
    const insert = async (email: string) => {
      const person = { uuid: email, email, email_key: email.toLowerCase(), password_hash: "", totp_secret: null };
      return (await database.insertInto("users").values(person).returning("id").executeTakeFirstOrThrow()).id;
    };
    const old = {
      plain: await insert("Ada@example.test"),
      domain: await insert("ada@B\u00fccher.test"),
      decomposed: await insert("Zoe\u0301@example.test"),
      composed: await insert("Zo\u00e9@example.test"),
      third: await insert("bob@bu\u0308cher.test"),
      fourth: await insert("Bob@b\u00fccher.test"),
    };
    await emailsMigration.up(database);
    // As after a crash before the migrator recorded it.
    await emailsMigration.up(database);
    const idOf = async (email: string) => (await findUser(database, email))?.id;
    expect(await idOf("ADA@example.test")).toBe(old.plain);
    expect(await idOf("ada@xn--bcher-kva.TEST")).toBe(old.domain);
    expect(await idOf("zoe\u0301@example.test")).toBe(old.decomposed);
    expect(await idOf("zo\u00e9@example.test")).toBe(old.composed);
    expect(await idOf("bob@bu\u0308cher.test")).toBe(old.third);
    expect(await idOf("bob@b\u00fccher.test")).toBe(old.fourth);
    expect(await idOf("bob@xn--bcher-kva.test")).toBe(old.third);
    const row = ({ email, key }: { email: string; key: string }) => {
      return { uuid: `new ${email}`, email, email_key: key, password_hash: "", totp_secret: null };
    };
    const asked = [
      { email: "ZOE\u0301@example.test", key: "zo\u00e9@example.test" },
      { email: "new@b\u00fccher.test", key: "new@xn--bcher-kva.test" },
    ];
    const ids = await findOrCreateUsers(database, asked.map(row));
    expect(ids.get("zo\u00e9@example.test")).toBe(old.decomposed);
    expect(ids.get("new@xn--bcher-kva.test")).toBeGreaterThan(old.fourth);
    await close();
  });

  test("bind a single null", async () => {
    const { database, close } = await openTestStore(dialect);
    const outbox = { id: "1", payload_json: "{}", created_at: 1, sent_at: 1 };
    await database.insertInto("outbox").values(outbox).execute();
    await database.updateTable("outbox").set({ sent_at: null }).execute();
    expect(await database.selectFrom("outbox").select("sent_at").execute()).toEqual([{ sent_at: null }]);
    await close();
  });
});
