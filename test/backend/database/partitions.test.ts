import { sql } from "kysely";
import { describe, expect, test } from "vitest";
import { isPostgres } from "../../../src/backend/database/engine.ts";
import { buy, call, organization, startBackend, type TestBackend, tokenOf } from "../support/backend.ts";
import { DIALECTS } from "../support/stores.ts";

/** How often each partition was read, by any statement of any connection. */
async function scans({ deps: { database } }: TestBackend): Promise<Map<string, number>> {
  if (!isPostgres(database)) return new Map();
  await database.connection().execute(async (connection) => {
    await sql`select pg_stat_force_next_flush()`.execute(connection);
    await sql`select pg_stat_clear_snapshot()`.execute(connection);
  });
  const { rows } = await sql<{ name: string; scans: number }>`
    select relname as name, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) as scans from pg_stat_user_tables
    where schemaname = current_schema() and relname ~ '_[0-9]$'`.execute(database);
  return new Map(rows.map(({ name, scans: count }) => [name, Number(count)]));
}

async function partitionOf({ deps: { database } }: TestBackend, organizationId: number): Promise<string> {
  if (!isPostgres(database)) return "";
  const { rows } = await sql<{ name: string }>`
    select tableoid::regclass::text as name from subscriptions where organization_id = ${organizationId}`.execute(
    database,
  );
  return rows[0]?.name.at(-1) ?? "";
}

describe.each(DIALECTS)("statements on %s", (kind) => {
  test("quoting, buying, reading and listing touch the partition of the organization alone", async () => {
    const backend = await startBackend(kind, undefined, undefined, { connections: 1 });
    const [own, other] = [organization(), organization()];
    for (const made of [own, other]) await backend.addOrganization(made);
    await buy(backend, other.id, 1, "k");
    const remainder = await partitionOf(backend, own.id);
    const before = await scans(backend);
    const token = tokenOf(own.id);
    const path = `/organizations/${own.id}`;
    const { status, body } = await buy(backend, own.id, 5, "k");
    expect([status, body.status]).toEqual([201, "succeeded"]);
    for (const read of [
      "/subscription",
      `/purchases/${body.id}`,
      "/purchases",
      "/purchases/by-key/k",
      "/events",
      "/users/0",
    ]) {
      expect((await call(backend, "GET", path + read, { token })).status).toBe(200);
    }
    const after = await scans(backend);
    const touched = [...after].filter(([name, count]) => count > (before.get(name) ?? 0)).map(([name]) => name);
    // Only the sharded store has partitions.
    if (kind === "sharded") expect(touched).toContain(`purchases_${remainder}`);
    expect(touched.filter((name) => !name.endsWith(`_${remainder}`))).toEqual([]);
    await backend.close();
  });
});
