import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Kysely, sql } from "kysely";
import {
  atomically,
  openSqlite,
  preparer,
  type SqliteConnection,
  sqliteStore,
} from "../../../src/backend/database/sqlite.ts";

// A program of its own, so that any Node.js can run it: `<action> <file>`. Prints one JSON document.
const [action = "", file = ""] = process.argv.slice(2);

/** Text that a library would cut off, or that stands for such text in the database. */
const TEXTS = ["plain", "a\0b", "\0", "\ue000", "\ue000\ue001", "\ue000\ue002\0", "é€😀"];

const actions: Readonly<Record<string, () => Promise<unknown>>> = { observe, write, read, warn };

console.log(JSON.stringify(await actions[action]?.()));

/** Opens the database of `file` after another warning, and before one more. */
async function warn(): Promise<void> {
  process.emitWarning("an experiment", "ExperimentalWarning");
  (await openSqlite(file)).close();
  process.emitWarning("another experiment", "ExperimentalWarning");
}

/** Writes rows, begins a transaction that it does not end, and waits to be killed. */
async function write(): Promise<void> {
  const database = await openSqlite(file);
  database.exec("create table rows (id integer primary key, text text)");
  const store = storeOf(database);
  for (const text of TEXTS) await store.insertInto("rows").values({ text }).execute();
  database.exec("begin; insert into rows (text) values ('not committed')");
  console.log("written");
  await new Promise((resolve) => process.stdin.once("end", resolve).resume());
}

/** Reads the rows that `write` wrote, and writes one more. */
async function read(): Promise<unknown> {
  try {
    const database = await openSqlite(file);
    const store = storeOf(database);
    const rows = await store.selectFrom("rows").select("text").orderBy("id").execute();
    await store.insertInto("rows").values({ text: "afterwards" }).execute();
    await store.destroy();
    return rows.map(({ text }) => TEXTS.indexOf(text));
  } catch (error) {
    return codeOf(error);
  }
}

interface Rows {
  rows: { id?: number; text: string };
}

function storeOf(database: SqliteConnection): Kysely<Rows> {
  return sqliteStore(database) as unknown as Kysely<Rows>;
}

/** Everything that the store relies on, as it is. */
async function observe(): Promise<Record<string, unknown>> {
  const database = await openSqlite(file);
  database.exec(`create table parents (id integer primary key);
    create table rows (id integer primary key, text text unique not null check (text <> 'bad'), any, parent references parents);`);
  const found = {
    "the built-in library": isBuiltIn(database),
    ...(await values(database)),
    ...statements(database),
    ...errors(database),
    ...transactions(database),
    ...(await files()),
  };
  database.close();
  database.close();
  return found;
}

function isBuiltIn(database: SqliteConnection): boolean {
  const { version } = database.prepare("select sqlite_version() as version").get() as { version: string };
  return version === (process.versions as { sqlite?: string }).sqlite;
}

async function values(database: SqliteConnection) {
  const store = sqliteStore(database);
  const echo = async (value: unknown) => {
    const { rows } = await sql<{ value: unknown }>`select ${value} as value, typeof(${value}) as type`.execute(store);
    return rows.map((row) => Object.values(row));
  };
  const texts = await Promise.all(TEXTS.map(echo));
  return {
    "text as it was": texts.flat().every(([text], index) => text === TEXTS[index]),
    booleans: [await echo(true), await echo(false)],
    null: await echo(null),
    numbers: [await echo(5), await echo(-1.5), await echo(2 ** 53 + 2)],
    "an integer beyond 2^53": await echo(2n ** 60n),
    refused: await Promise.all(
      [undefined, Number.NaN, {}, new Uint8Array(1), 2n ** 70n].map((value) => echo(value).catch(typeOf)),
    ),
  };
}

function statements(database: SqliteConnection) {
  const reader = (query: string) => database.prepare(query).reader;
  const insert = database.prepare("insert into rows (text) values (?) on conflict (text) do nothing");
  const numbers = preparer(database)(
    "with recursive n (x) as (select 1 union all select x + 1 from n where x < 250) select x from n",
  );
  const iterated = [];
  for (const row of numbers.iterate()) {
    iterated.push(row);
    if (iterated.length === 120) break;
  }
  return {
    readers: [
      "select 1",
      "with x as (select 1) select * from x",
      "insert into rows (text) values ('x') returning id",
      "pragma foreign_keys",
    ].map(reader),
    "not readers": ["insert into rows (text) values ('x')", "create table other (id)", "begin", "commit"].map(reader),
    changes: [insert.run("one"), insert.run("one"), insert.run("two")].map(({ changes }) => changes),
    "first row": database.prepare("select id, text from rows order by id").get(),
    "no row": typeof database.prepare("select 1 from rows where text = ?").get("none"),
    rows: database.prepare("select text, any from rows order by id").all(),
    "two values": database.prepare("select ? as a, ? as b").all(1, "x"),
    iterated: [iterated.at(-1), numbers.all().length],
  };
}

function errors(database: SqliteConnection) {
  const failure = (query: string, ...bound: string[]) => codeOf(caught(() => database.prepare(query).run(...bound)));
  const insert = database.prepare("insert into rows (text) values (?)");
  const json = database.prepare("select json(?) as json");
  return {
    constraints: [
      codeOf(caught(() => insert.run("one"))),
      codeOf(caught(() => insert.run(null))),
      codeOf(caught(() => insert.run("bad"))),
      failure("insert into rows (id, text) values (1, 'again')"),
      failure("insert into rows (text, parent) values ('child', 99)"),
    ],
    syntax: codeOf(caught(() => database.prepare("selec"))),
    "double quotes": codeOf(caught(() => database.prepare('select "text in double quotes"').all())),
    executed: codeOf(caught(() => database.exec("select * from nothing"))),
    "reading fails": [
      codeOf(caught(() => json.all("{"))),
      codeOf(caught(() => json.get("{"))),
      codeOf(caught(() => [...json.iterate("{")])),
    ],
    "afterwards the same statements work": [json.all("{}"), insert.run("three").changes],
    "read-only": (() => {
      database.exec("pragma query_only = on");
      const code = codeOf(caught(() => insert.run("four")));
      database.exec("pragma query_only = off");
      return code;
    })(),
  };
}

function transactions(database: SqliteConnection) {
  const insert = database.prepare("insert into rows (text) values (?)");
  const count = () => database.prepare("select count(*) as count from rows").all();
  const states = [database.inTransaction];
  const before = count();
  database.exec("begin");
  states.push(database.inTransaction);
  const nested = codeOf(caught(() => database.exec("begin")));
  database.exec("rollback");
  const thrown = caught(() =>
    atomically(database, () => {
      insert.run("five");
      throw new TypeError("a defect");
    }),
  );
  const kept = JSON.stringify(before) === JSON.stringify(count());
  const returned = atomically(database, () => insert.run("six").changes);
  database.exec("pragma max_page_count = 1");
  const full = caught(() => atomically(database, () => insert.run("x".repeat(1_000_000))));
  states.push(database.inTransaction);
  database.exec("pragma max_page_count = 100000");
  return {
    nested,
    states,
    "rolled back": [(thrown as Error).message, kept],
    committed: [returned, count()],
    full: [codeOf(full), (full as Error).message],
  };
}

async function files() {
  const folder = dirname(file);
  const failure = (path: string) =>
    openSqlite(path).then(
      () => "opened",
      (error) => codeOf(error),
    );
  const other = join(folder, `${action}-not-a-database`);
  writeFileSync(other, "x".repeat(5_000));
  return {
    "owned already": await failure(file),
    "not a database": await failure(other),
    "in no folder": await failure(join(folder, "none", "file")),
    "a folder": await failure(folder),
  };
}

function caught(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? ((error as { code?: string }).code ?? error.message) : "no error";
}

function typeOf(error: unknown): string {
  return (error as Error).constructor.name;
}
