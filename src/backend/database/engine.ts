import { type Kysely, PostgresAdapter } from "kysely";
import type { Database } from "./schema.ts";

/** Whether a store is on PostgreSQL, which can do in one statement what SQLite does in several. */
export function isPostgres(database: Kysely<Database>): boolean {
  return database.getExecutor().adapter instanceof PostgresAdapter;
}
