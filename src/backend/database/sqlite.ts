import { Kysely, type SqliteDatabase, SqliteDialect } from "kysely";
import type Libsql from "libsql";
import { type Bindable, loadNodeSqlite, type NodeDatabase, type NodeStatement } from "./nodeSqlite.ts";
import type { Database } from "./schema.ts";

/** A prepared statement. Integers beyond 2^53 are read as the nearest number. */
export interface SqliteStatement {
  /** Whether it returns rows. */
  readonly reader: boolean;
  all(...values: readonly Bindable[]): unknown[];
  /** Returns the first row, or `undefined`. */
  get(...values: readonly Bindable[]): unknown;
  run(...values: readonly Bindable[]): { changes: number; lastInsertRowid: number };
  iterate(...values: readonly Bindable[]): IterableIterator<unknown>;
}

/**
 * An open SQLite database, whichever library reads it. Errors of SQLite have its primary result code as `code`, such as
 * `SQLITE_FULL` ([Result Codes](https://sqlite.org/rescode.html)).
 */
export interface SqliteConnection {
  readonly inTransaction: boolean;
  /** Runs statements without values. */
  exec(query: string): void;
  prepare(query: string): SqliteStatement;
  /** Closes it and releases its lock. Does nothing if it is closed. */
  close(): void;
}

/**
 * Opens a SQLite database that this process owns alone: with Node.js' own SQLite where there is one, else with the optional
 * package `libsql`. Either reads what the other one wrote. The lock is held until `close` or the end of the process, in
 * whatever way.
 *
 * @param file a path, or `:memory:`
 * @throws an error with `code` `SQLITE_BUSY` if another process owns the file
 */
export async function openSqlite(file: string): Promise<SqliteConnection> {
  const builtIn = loadNodeSqlite();
  // Not defensive, as libsql; the default depends on the version of Node.js.
  const database = builtIn
    ? translated(() => onNode(new builtIn.DatabaseSync(file, { defensive: false })))
    : onLibsql(await openLibsql(file));
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

async function openLibsql(file: string): Promise<Libsql.Database> {
  const { default: Libsql } = await import("libsql");
  try {
    return new Libsql(file);
  } catch (error) {
    // Its error has an empty code, and opening a file fails in no other way: SQLite reads it later.
    throw Object.assign(error as Error, { code: "SQLITE_CANTOPEN" });
  }
}

function onLibsql(database: Libsql.Database): SqliteConnection {
  return {
    get inTransaction() {
      return database.inTransaction;
    },
    exec: (query) => translated(() => database.exec(query)),
    prepare(query) {
      const statement = translated(() => database.prepare(query));
      let reader: boolean | undefined;
      // Values stay one array, because libsql takes a single null for an object of named values.
      return {
        get reader() {
          // The library finds that out anew each time.
          reader ??= statement.reader;
          return reader;
        },
        all: (...values) => translated(() => statement.all(values)),
        get: (...values) => translated(() => statement.get(values)),
        run: (...values) => changesOf(translated(() => statement.run(values))),
        iterate: (...values) =>
          rows(
            translated(() => statement.iterate(values)),
            (row) => row,
          ),
      };
    },
    close: () => database.close(),
  };
}

function onNode(database: NodeDatabase): SqliteConnection {
  return {
    get inTransaction() {
      return database.isTransaction;
    },
    exec: (query) => translated(() => database.exec(query)),
    prepare: (query) => nodeStatement(translated(() => database.prepare(query))),
    close() {
      if (database.isOpen) database.close();
    },
  };
}

function nodeStatement(statement: NodeStatement): SqliteStatement {
  let reader: boolean | undefined;
  // Otherwise one integer beyond 2^53 would be an error of the whole statement.
  statement.setReadBigInts(true);
  return {
    get reader() {
      reader ??= statement.columns().length > 0;
      return reader;
    },
    all: (...values) => translated(() => statement.all(...values)).map(plain),
    get(...values) {
      const row = translated(() => statement.get(...values));
      return row === undefined ? row : plain(row);
    },
    run: (...values) => changesOf(translated(() => statement.run(...values))),
    iterate: (...values) =>
      rows(
        translated(() => statement.iterate(...values)),
        plain,
      ),
  };
}

function changesOf({ changes, lastInsertRowid }: ReturnType<NodeStatement["run"]>): ReturnType<SqliteStatement["run"]> {
  return { changes: Number(changes), lastInsertRowid: Number(lastInsertRowid) };
}

/** Converts the integers of a row to numbers, in place. */
function plain(row: unknown): unknown {
  const columns = row as Record<string, unknown>;
  for (const name of Object.keys(columns)) {
    const value = columns[name];
    if (typeof value === "bigint") columns[name] = Number(value);
  }
  return row;
}

/** Iterates over rows, each converted. */
function* rows(found: IterableIterator<unknown>, convert: (row: unknown) => unknown): IterableIterator<unknown> {
  try {
    for (const row of found) yield convert(row);
  } catch (error) {
    // Otherwise the next call of the statement reports this error once more.
    found.return?.();
    throw withCode(error);
  }
}

/** Names of the primary result codes that errors have, by number (sqlite.org/rescode.html). */
const RESULT_CODES = (
  "OK ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL EMPTY " +
  "SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB"
).split(" ");

/** Runs a call of a library, and gives its errors their code. */
function translated<Result>(call: () => Result): Result {
  try {
    return call();
  } catch (error) {
    throw withCode(error);
  }
}

/** Gives an error of SQLite its primary result code, the low byte of what either library reports. */
function withCode(error: unknown): unknown {
  const { errcode, rawCode = errcode } = error as { errcode?: number; rawCode?: number };
  const name = typeof rawCode === "number" ? RESULT_CODES[rawCode & 0xff] : undefined;
  return name === undefined ? error : Object.assign(error as Error, { code: `SQLITE_${name}` });
}

/** Does all of `work`, or nothing if it throws. */
export function atomically<Result>(database: SqliteConnection, work: () => Result): Result {
  database.exec("begin");
  try {
    const result = work();
    database.exec("commit");
    return result;
  } catch (error) {
    // A full disk has already rolled back.
    if (database.inTransaction) database.exec("rollback");
    throw error;
  }
}

/** Opens the store on a SQLite database. Its one connection runs one transaction at a time. */
export function sqliteStore(database: SqliteConnection): Kysely<Database> {
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
export function preparer(database: SqliteConnection): (query: string) => SqliteStatement {
  const statements = new Map<string, SqliteStatement>();
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

function withCheckedBindings(database: SqliteConnection): SqliteDatabase {
  const prepare = preparer(database);
  return {
    close: () => database.close(),
    prepare(query) {
      const statement = prepare(query);
      return {
        reader: statement.reader,
        all: (parameters) => statement.all(...parameters.map(bindable)).map(readable),
        run(parameters) {
          // A full disk has already rolled back (sqlite.org/lang_transaction.html); a second rollback hides that error.
          if (query === "rollback" && !database.inTransaction) return { changes: 0, lastInsertRowid: 0 };
          return statement.run(...parameters.map(bindable));
        },
        // Of its own, because rows are still read while others use the kept one.
        iterate: (parameters) => database.prepare(query).iterate(...parameters.map(bindable)),
      };
    },
  };
}

/** libsql and Node.js 22 read text only up to the first NUL, so it is stored as two characters of the private use area. */
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
  if (value === null || typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new TypeError(`A ${typeof value} cannot be stored`);
}
