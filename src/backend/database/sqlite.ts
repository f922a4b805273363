import { Kysely, type SqliteDatabase, SqliteDialect } from "kysely";
import type Libsql from "libsql";
import type { Database } from "./schema.ts";

/** The values that libsql can bind. It aborts the process on others, such as a boolean. */
type Bindable = string | number | bigint | null | Uint8Array;

/**
 * Opens a SQLite database that this process owns alone. The lock is held until `close` or the end of the process, in
 * whatever way.
 *
 * @param file a path, or `:memory:`
 * @throws the library's error with `code` `SQLITE_BUSY` if another process owns the file
 */
export async function openSqlite(file: string): Promise<Libsql.Database> {
  const { default: Libsql } = await import("libsql");
  const database = new Libsql(file);
  try {
    database.exec("pragma locking_mode = exclusive; pragma foreign_keys = on; pragma busy_timeout = 0;");
    // Nothing is lost when the process dies; only a power failure may take the last commits of a sandbox.
    database.exec("pragma journal_mode = wal; pragma synchronous = normal;");
    database.exec("begin immediate; commit;");
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

/** Opens the store on a SQLite database. Its one connection runs one transaction at a time. */
export function sqliteStore(database: Libsql.Database): Kysely<Database> {
  return new Kysely<Database>({ dialect: new SqliteDialect({ database: withCheckedBindings(database) }) });
}

/** How many prepared statements are kept. */
const MAX_STATEMENTS = 200;

/** What reads or changes rows, and so leaves prepared statements valid. */
const KEPT = /^\s*(select|insert|update|delete|with)\b/i;

/**
 * Returns a function that prepares statements, and keeps those that change no table: most are run again and again, and
 * preparing takes longer than running. A kept one must not be left with rows to read.
 */
export function preparer(database: Libsql.Database): (query: string) => Libsql.Statement {
  const statements = new Map<string, Libsql.Statement>();
  return (query) => {
    const known = statements.get(query);
    if (known) return known;
    const statement = database.prepare(query);
    if (!KEPT.test(query)) return statement;
    if (statements.size >= MAX_STATEMENTS) statements.clear();
    statements.set(query, statement);
    return statement;
  };
}

function withCheckedBindings(database: Libsql.Database): SqliteDatabase {
  const prepare = preparer(database);
  /** Whether statements return rows. The library finds that out anew each time. */
  const readers = new WeakMap<Libsql.Statement, boolean>();
  const isReader = (statement: Libsql.Statement) => {
    const known = readers.get(statement);
    if (known !== undefined) return known;
    const { reader } = statement;
    readers.set(statement, reader);
    return reader;
  };
  return {
    close: () => database.close(),
    prepare(query) {
      const statement = prepare(query);
      return {
        reader: isReader(statement),
        // Passed as one array, because libsql takes a single null for an object of named values.
        all: (parameters) => statement.all(parameters.map(bindable)).map(readable),
        run(parameters) {
          // A full disk has already rolled back (sqlite.org/lang_transaction.html); a second rollback hides that error.
          if (query === "rollback" && !database.inTransaction) return { changes: 0, lastInsertRowid: 0 };
          return statement.run(parameters.map(bindable));
        },
        // Of its own, because rows are still read while others use the kept one.
        iterate: (parameters) => database.prepare(query).iterate(parameters.map(bindable)),
      };
    },
  };
}

/** libsql reads text only up to the first NUL, so a NUL is stored as two characters of the private use area. */
const ESCAPE = "\ue000";

const STORED_NUL = `${ESCAPE}\ue001`;

const STORED_ESCAPE = `${ESCAPE}\ue002`;

function storable(text: string): string {
  return /[\0\ue000]/.test(text) ? text.replaceAll(ESCAPE, STORED_ESCAPE).replaceAll("\0", STORED_NUL) : text;
}

/** Restores the text of a row, in place: copying its columns would take longer than reading them. */
function readable(row: unknown): unknown {
  const columns = row as Record<string, unknown>;
  for (const name of Object.keys(columns)) {
    const value = columns[name];
    if (typeof value !== "string" || !value.includes(ESCAPE)) continue;
    columns[name] = value.replaceAll(STORED_NUL, "\0").replaceAll(STORED_ESCAPE, ESCAPE);
  }
  return row;
}

function bindable(value: unknown): Bindable {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "string") return storable(value);
  if (value === null || typeof value === "bigint" || value instanceof Uint8Array) return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new TypeError(`A ${typeof value} cannot be stored`);
}
