import { randomBytes } from "node:crypto";
import pg from "pg";

/** Names the schemas of this run, for its workers, and drops them once all tests have run. */
export default function setup(): (() => Promise<void>) | undefined {
  const url = process.env.TEST_DATABASE_URL;
  if (!url) return;
  const prefix = `test_${randomBytes(4).toString("hex")}_`;
  process.env.TEST_SCHEMA_PREFIX = prefix;
  return async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query("select nspname from pg_namespace where starts_with(nspname, $1)", [prefix]);
    for (const { nspname } of rows) await client.query(`drop schema ${nspname} cascade`);
    await client.end();
  };
}
