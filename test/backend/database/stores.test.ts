import { type Kysely, sql } from "kysely";
import { describe, expect, test } from "vitest";
import { emailsMigration } from "../../../src/backend/database/migrations/emails.ts";
import { membershipsMigration } from "../../../src/backend/database/migrations/memberships.ts";
import type { Database } from "../../../src/backend/database/schema.ts";
import { chainEvents } from "../../../src/backend/events/chain.ts";
import { listEvents } from "../../../src/backend/events/events.ts";
import { claimNotifications } from "../../../src/backend/events/outbox.ts";
import { findCaller } from "../../../src/backend/identity/admission.ts";
import { findOrCreateUsers, findUser } from "../../../src/backend/identity/memberships.ts";
import { hashToken } from "../../../src/backend/identity/secrets.ts";
import { findPurchase } from "../../../src/backend/purchases/store.ts";
import { readCounts } from "../../../src/backend/subscriptions/store.ts";
import { addMember } from "../../../src/backend/users/store.ts";
import { NOON } from "../support/backend.ts";
import { DIALECTS, openOldStore, openTestStore } from "../support/stores.ts";

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

  test("bind a single null", async () => {
    const { database, close } = await openTestStore(dialect);
    const outbox = { organization_id: 1, id: "1", payload_json: "{}", created_at: 1, sent_at: 1 };
    await database.insertInto("outbox").values(outbox).execute();
    await database.updateTable("outbox").set({ sent_at: null }).execute();
    expect(await database.selectFrom("outbox").select("sent_at").execute()).toEqual([{ sent_at: null }]);
    await close();
  });
});

describe("sandboxes of earlier versions", () => {
  const addOrganization = async (
    database: Kysely<Database>,
    id: number,
    changes = { anchor: "2026-01-31", renews: 1 },
  ) => {
    await sql`insert into organizations (id, name, time_zone) values (${id}, ${`Organization ${id}`}, 'America/New_York')`.execute(
      database,
    );
    await sql`insert into subscriptions (organization_id, plan, interval, interval_count, anchor_date, term_index,
      unit_price, currency, tax_rate, licenses, used, auto_renew, payment_method, version, receipt_count, credit_note_count)
      values (${id}, 'Enterprise', 'month', 1, ${changes.anchor}, 9, 100, 'GBP', '20', 25, 0, ${changes.renews}, 'card_ok', 1,
      0, 0)`.execute(database);
  };

  test("from before the renewals migration get their next renewal", async () => {
    const { database, migrate, close } = await openOldStore("0003_payments");
    await addOrganization(database, 1);
    await addOrganization(database, 2, { anchor: "2026-01-31", renews: 0 });
    await migrate();
    const columns = ["renew_at", "remind_at", "card_entries"] as const;
    const rows = await database.selectFrom("subscriptions").select(columns).orderBy("organization_id").execute();
    expect(rows.map(({ renew_at }) => renew_at)).toEqual([Date.parse("2026-11-30T05:00:00Z"), null]);
    // The sweep plans their reminders.
    expect(rows.map(({ remind_at, card_entries }) => [remind_at, card_entries])).toEqual([
      [0, 0],
      [0, 0],
    ]);
    await close();
  });

  test("from before the memberships migration keep every idUser once, with accepted memberships", async () => {
    const { database, migrate, close } = await openOldStore("0004_renewals");
    const ids = [11, 12, 13];
    for (const id of ids) await addOrganization(database, id);
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
    await membershipsMigration.up(database);
    // As after a crash before the migrator recorded it.
    await migrate();
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
    const added = await addMember(database, 11, { ...later, ...training }, change);
    expect(added.id).toBeGreaterThan(Math.max(...rows.map(({ id }) => id)));
    expect(await database.selectFrom("members").select("id").execute()).toHaveLength(7);
    await close();
  });

  test("from before the emails migration still find everyone, in any spelling", async () => {
    const { database, migrate, close } = await openOldStore("0006_spending");
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
    await migrate();
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

  test("from before keys began with the organization keep every row, their cursors and their token", async () => {
    const { database, migrate, close } = await openOldStore("0008_assignment_strategy");
    await addOrganization(database, 1);
    await addOrganization(database, 2);
    const price = JSON.stringify({ term: { renewalDate: "2027-03-01" } });
    await sql`insert into users (id, uuid, email, email_key, password_hash)
      values (7, 'u7', 'ada@example.test', 'ada@example.test', '')`.execute(database);
    await sql`insert into api_tokens (id, organization_id, user_id, name, token_hash, scopes_json)
      values ('tok_1', 1, 7, 'ci', ${hashToken("sfl_old")}, '["billing:read"]')`.execute(database);
    await sql`insert into quotes values ('quo_1', 1, 5, 1, '2026-11-22', 5, '{}')`.execute(database);
    for (const [id, organizationId, token] of [
      ["pur_a", 1, "tok_1"],
      ["pur_b", 2, null],
      ["pur_c", 1, null],
    ] as const) {
      await sql`insert into purchases (id, organization_id, kind, state, epoch, lease_until, quote_id, licenses, total,
        currency, price_json, buyer_token_id, confirm_count, accepted_at, spent_at)
        values (${id}, ${organizationId}, 'purchase', 'fulfilled', 1, 0, ${token && "quo_1"}, 5, 600, 'GBP', ${price},
        ${token}, 0, ${NOON}, ${NOON})`.execute(database);
    }
    await sql`insert into receipts values (1, 1, 'pur_a', 5, 30)`.execute(database);
    await sql`insert into ledger (organization_id, purchase_id, kind, amount, currency, at)
      values (1, 'pur_a', 'charge', 600, 'GBP', 5)`.execute(database);
    for (const organizationId of [1, 2, 1]) {
      await sql`insert into events (organization_id, at, type, actor, data_json)
        values (${organizationId}, 5, 'made', 'test', '{}')`.execute(database);
    }
    await sql`insert into outbox values ('n1', '{"organizationId":1}', 5, null)`.execute(database);
    await migrate();

    const purchases = await database
      .selectFrom("purchases")
      .select(["organization_id", "id", "sequence", "time_zone"])
      .orderBy("sequence")
      .execute();
    expect(purchases).toEqual([
      { organization_id: 1, id: "pur_a", sequence: 1, time_zone: "America/New_York" },
      { organization_id: 2, id: "pur_b", sequence: 2, time_zone: "America/New_York" },
      { organization_id: 1, id: "pur_c", sequence: 3, time_zone: "America/New_York" },
    ]);
    const counts = ["organization_id", "purchase_count", "event_count", "licenses"] as const;
    expect(await database.selectFrom("subscriptions").select(counts).orderBy("organization_id").execute()).toEqual([
      { organization_id: 1, purchase_count: 3, event_count: 2, licenses: 25 },
      { organization_id: 2, purchase_count: 2, event_count: 1, licenses: 25 },
    ]);
    const events = await listEvents(database, 1, { after: 1, limit: 10 });
    expect(events.map(({ number }) => number)).toEqual([2]);
    expect((await chainEvents(database, 1)).number).toBe(2);
    expect(await findCaller(database, "token", hashToken("sfl_old"), 1, NOON)).toMatchObject({
      user: { id: 7 },
      token: { id: "tok_1", organization_id: 1 },
    });
    expect(await findPurchase(database, "pur_a")).toMatchObject({ receipt_number: 1, licenses_after: 30 });
    expect(await claimNotifications(database, NOON, 5)).toEqual([{ organizationId: 1 }]);
    await expect(database.deleteFrom("ledger").execute()).rejects.toThrow("append-only");
    const { rows } = await sql`pragma foreign_key_check`.execute(database);
    expect(rows).toEqual([]);
    await expect(
      sql`insert into receipts values (1, 2, 'pur_none', 5, 30, null, null, null)`.execute(database),
    ).rejects.toThrow(/FOREIGN KEY/);
    await close();
  });

  test("from before sign-ins were noted know when those were added who have not joined", async () => {
    const { database, migrate, close } = await openOldStore("0011_webhooks");
    await sql`insert into organizations (id, name, time_zone) values (1, 'One', 'UTC')`.execute(database);
    for (const [id, status, joined] of [
      [7, "INVITED", null],
      [8, "ACTIVE", 3],
      [9, "INVITED", null],
    ] as const) {
      await sql`insert into users (id, uuid, email, email_key) values (${id}, ${`u${id}`}, ${`${id}@x.test`}, ${`${id}@x.test`})`.execute(
        database,
      );
      await sql`insert into members (id, organization_id, user_id, uuid, email, role, admin_no_training, status, joined_at,
        assignment_strategy, accepted) values (${id}, 1, ${id}, ${`m${id}`}, ${`${id}@x.test`}, 7, 0, ${status}, ${joined},
        'NONE', 1)`.execute(database);
    }
    for (const [number, at, data] of [
      [1, 4, { idUser: 7 }],
      [2, 6, { idUser: 7 }],
      [3, 5, { idUser: 8 }],
    ] as const) {
      await sql`insert into events (organization_id, number, at, type, actor, data_json)
        values (1, ${number}, ${at}, 'user.added', 'test', ${JSON.stringify(data)})`.execute(database);
    }
    await migrate();
    await migrate();
    expect(
      await database.selectFrom("members").select(["id", "added_at", "last_login"]).orderBy("id").execute(),
    ).toEqual([
      { id: 7, added_at: 6, last_login: null },
      { id: 8, added_at: null, last_login: null },
      { id: 9, added_at: null, last_login: null },
    ]);
    expect(await readCounts(database, 1, 6)).toMatchObject({ idleLicenses: 2 });
    expect(await readCounts(database, 1, 5)).toMatchObject({ idleLicenses: 1 });
    await close();
  });
});
