import { type Kysely, sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../../src/backend/database/schema.ts";
import { BASE_PATH } from "../../../src/contract/constants.ts";
import { buy, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { DIALECTS, writeMany } from "../support/stores.ts";

describe.skipIf(!DIALECTS.includes("postgres"))("plans on PostgreSQL, where most organizations bought once", () => {
  let backend: TestBackend;
  /** The statement that finds the caller of a request by an API token, and whose subscription it is about. */
  let findCaller = "";
  /** The statement that counts purchases in progress, and the licenses of idle users. */
  let readCounts = "";

  beforeAll(async () => {
    backend = await startBackend("postgres", undefined, (text) => {
      if (text.includes("from token_index")) findCaller = text;
      if (text.includes("last_login > coalesce")) readCounts = text;
    });
    const first = organization();
    await backend.addOrganization(first);
    expect((await buy(backend, first.id, 1, "k")).status).toBe(201);
    const { database } = backend.deps;
    expect((await backend.app.inject(subscriptionOf(first.id))).statusCode).toBe(200);
    await copy(database, "purchases", sql`'organization_id', n, 'quote_id', null, 'payment_id', null`);
    await writeMany(
      database,
      sql`insert into organizations (id, name, time_zone) select n, 'n', 'UTC' from generate_series(100001, 120000) as n`,
    );
    await copy(database, "members", sql`'organization_id', n, 'id', n`);
    await copy(database, "api_tokens", sql`'organization_id', n`);
    await copy(database, "token_index", sql`'organization_id', n, 'token_hash', n`);
    await copy(database, "subscriptions", sql`'organization_id', n`);
    // Only its own tables: other tests drop theirs meanwhile.
    await writeMany(database, sql`analyze purchases, organizations, members, api_tokens, token_index, subscriptions`);
  }, 120_000);
  afterAll(() => backend.close());

  const subscriptionOf = (id: number) => ({
    method: "GET" as const,
    url: `${BASE_PATH}/organizations/${id}/subscription`,
    headers: { authorization: `Bearer ${tokenOf(id)}` },
  });

  /** Copies the first row of a table 20,000 times. */
  async function copy(database: Kysely<Database>, table: string, changes: ReturnType<typeof sql>): Promise<void> {
    const from = sql`(select * from ${sql.table(table)} limit 1)`;
    await writeMany(
      database,
      sql`insert into ${sql.table(table)} overriding system value
        select (jsonb_populate_record(t::${sql.table(table)}, jsonb_build_object(${changes}))).*
        from ${from} as t, generate_series(100001, 120000) as n`,
    );
  }

  test.each([
    [
      "purchases_key",
      "a purchase is found by its ID",
      () => "update purchases set epoch = 2 where organization_id = $1 and id = $2::text and state = 'charging'",
    ],
    [
      "members_key",
      "a membership is found by organization and person, also of one who has many",
      () => "select role from members where organization_id = $1 and user_id = $2::bigint and accepted = 1",
    ],
    ["members_key", "a caller's membership is found so, too", () => findCaller],
    [
      "subscriptions_remind",
      "due reminders are listed in pages",
      () =>
        "select organization_id, remind_at from subscriptions where remind_at <= $1::bigint and (remind_at, organization_id) > ($2::bigint, $3::bigint) order by remind_at, organization_id limit $4::bigint",
    ],
    ["members_idle", "idle users are counted from an index", () => readCounts],
  ])("%s: %s", async (index, _, statement) => {
    const values = new Set(statement().match(/\$\d+/g)).size;
    const plan = await backend.deps.database.connection().execute(async (connection) => {
      await sql`set plan_cache_mode = force_generic_plan`.execute(connection);
      await sql`prepare planned as ${sql.raw(statement())}`.execute(connection);
      const { rows } = await sql<{
        "QUERY PLAN": string;
      }>`explain execute planned (${sql.raw(Array(values).fill("null").join(", "))})`.execute(connection);
      await sql`deallocate planned`.execute(connection);
      await sql`reset plan_cache_mode`.execute(connection);
      return rows.map((row) => row["QUERY PLAN"]).join("\n");
    });
    expect(plan).toContain(`using ${index} `);
  });
});
