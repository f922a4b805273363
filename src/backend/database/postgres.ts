import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import type { Database } from "./schema.ts";

const INT8 = 20;

/** Parses a `bigint`, which arrives as text. All of ours are safe integers. */
function parseBigint(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} does not fit a safe integer`);
  return value;
}

/**
 * Opens the store on PostgreSQL.
 *
 * @param connectionString `postgresql://user@host:port/database`
 * @param options `schema` is where the tables are, the connection's default if left out
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
  // The pool drops an idle connection that breaks. The next query opens another one, or fails.
  pool.on("error", () => {});
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
}
