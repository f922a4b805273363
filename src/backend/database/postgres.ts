import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { Database } from "./schema.ts";

const INT8 = 20;

/** `bigint` columns arrive as text; ours always fit a safe integer, and one that does not is an error. */
function parseBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} does not fit a safe integer`);
  return value;
}

/**
 * The store on PostgreSQL.
 *
 * @param connectionString `postgresql://user@host:port/database`
 * @param schema where the tables are; the connection's default unless given
 */
export function postgresStore(
  connectionString: string,
  options: { schema?: string; connections?: number } = {},
): Kysely<Database> {
  const pool = new pg.Pool({
    connectionString,
    max: options.connections ?? 10,
    ...(options.schema && { options: `-c search_path=${options.schema}` }),
    types: {
      getTypeParser: ((oid: number, format: "text" | "binary") =>
        oid === INT8 && format !== "binary"
          ? parseBigint
          : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
    },
  });
  // An idle connection that breaks is dropped by the pool; whoever needs one next gets another, or the error.
  pool.on("error", () => {});
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
}
