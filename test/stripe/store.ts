import type Stripe from "stripe";
import { openSqlite, type SqliteConnection, type SqliteStatement } from "../../src/backend/database/sqlite.ts";

/** What is stored, by the value of its field `object`. */
export interface Kinds {
  customer: Stripe.Customer | Stripe.DeletedCustomer;
  payment_method: Stripe.PaymentMethod;
  payment_intent: Stripe.PaymentIntent;
  charge: Stripe.Charge;
  refund: Stripe.Refund;
  "checkout.session": Stripe.Checkout.Session;
  setup_intent: Stripe.SetupIntent;
  event: Stripe.Event;
  subscription: Stripe.Subscription;
  invoice: Stripe.Invoice;
  dispute: Stripe.Dispute;
  account: Stripe.Account;
  webhook_endpoint: Stripe.WebhookEndpoint;
}

/** An object of Stripe. */
export type StoredObject = Kinds[keyof Kinds];

/** Fields that an object of a list has, by their paths: `payment_intent`. `undefined` is any value. */
export type Filter = Readonly<Record<string, string | undefined>>;

/** An event that is sent, or was. */
export interface Delivery {
  readonly number: number;
  readonly event: string;
  /** When it is sent, milliseconds of the machine's clock; `null` if it is held, or done with. */
  readonly due: number | null;
  readonly tries: number;
  /** Of the last answer, 0 without one; `null` before the first try. */
  readonly status: number | null;
}

/** A page of a list, newest first, as Stripe's parameters name it. */
export interface Page {
  readonly limit?: number;
  readonly starting_after?: string;
  readonly ending_before?: string;
  readonly created?:
    | number
    | { readonly gt?: number; readonly gte?: number; readonly lt?: number; readonly lte?: number };
}

const TABLES = `
  create table if not exists objects (
    number integer primary key, id text not null unique, kind text not null, created integer not null, json text not null
  );
  create index if not exists objects_of_kind on objects (kind, number);
  create index if not exists objects_of_payment on objects (json_extract(json, '$.payment_intent'));
  create index if not exists objects_of_customer on objects (json_extract(json, '$.customer'));
  create table if not exists notes (id text not null, name text not null, json text not null, primary key (id, name));
  create table if not exists answers (key text primary key, digest text not null, at integer not null, json text not null);
  create table if not exists records (number integer primary key, kind text not null, json text not null);
  create index if not exists records_of_kind on records (kind, number);
  create table if not exists deliveries (
    number integer primary key, event text not null, due integer, tries integer not null, status integer
  );
  create index if not exists deliveries_due on deliveries (due);
`;

/** What is to be done in the next transaction. `run` returns what to do once it is on the disk. */
interface Job {
  readonly run: () => () => void;
  readonly reject: (error: unknown) => void;
}

/** What the stand-in remembers. Every transaction is on the disk when it returns. */
export class Store {
  readonly #database: SqliteConnection;
  readonly #statements = new Map<string, SqliteStatement>();
  #jobs: Job[] = [];

  private constructor(database: SqliteConnection) {
    this.#database = database;
  }

  /** Opens the file, which one process has at a time. */
  static async open(file: string): Promise<Store> {
    const database = await openSqlite(file);
    database.exec("pragma synchronous = full;");
    database.exec(TABLES);
    return new Store(database);
  }

  /** Does what `work` does, all of it or nothing. Transactions inside of one are a part of it. */
  transaction<Result>(work: () => Result): Result {
    if (this.#database.inTransaction) return work();
    this.#database.exec("begin immediate");
    try {
      const result = work();
      this.#database.exec("commit");
      return result;
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec("rollback");
      throw error;
    }
  }

  /**
   * Does what `work` does, all of it or nothing, together with what else is waiting: what is done at once is flushed to the
   * disk once, before the promises settle.
   */
  batch<Result>(work: () => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.#jobs.length === 0) setImmediate(() => this.#runJobs());
      this.#jobs.push({ run: () => this.#attempt(work, resolve, reject), reject });
    });
  }

  #runJobs(): void {
    const jobs = this.#jobs.splice(0);
    try {
      const settle = this.transaction(() => jobs.map(({ run }) => run()));
      for (const settled of settle) settled();
    } catch (error) {
      for (const { reject } of jobs) reject(error);
    }
  }

  #attempt<Result>(work: () => Result, resolve: (result: Result) => void, reject: Job["reject"]): () => void {
    this.#database.exec("savepoint job");
    try {
      const result = work();
      this.#database.exec("release job");
      return () => resolve(result);
    } catch (error) {
      this.#database.exec("rollback to job; release job");
      return () => reject(error);
    }
  }

  /** Stores an object that is new or has changed. */
  put<Stored extends { id: string; object: string; created?: number }>(object: Stored): Stored {
    this.#run(
      "insert into objects (id, kind, created, json) values (?, ?, ?, ?) on conflict (id) do update set json = excluded.json",
      [object.id, object.object, object.created ?? 0, JSON.stringify(object)],
    );
    return object;
  }

  /** Reads an object of any kind. */
  find(id: string): StoredObject | null {
    const [row] = this.#all("select json from objects where id = ?", [id]);
    return row === undefined ? null : parsed<StoredObject>(row);
  }

  /** Reads an object of a kind. */
  get<Kind extends keyof Kinds>(kind: Kind, id: string): Kinds[Kind] | null {
    const found = this.find(id);
    return found?.object === kind ? (found as Kinds[Kind]) : null;
  }

  /** Lists a page of the objects of a kind, newest first. */
  list<Kind extends keyof Kinds>(
    kind: Kind,
    filter: Filter = {},
    { limit = 10, starting_after: after, ending_before: before, created = {} }: Page = {},
  ): { data: Kinds[Kind][]; hasMore: boolean } {
    const conditions = [
      ["kind = ?", kind],
      ...Object.entries(filter).map(([path, value]) => [`json_extract(json, '$.${path}') = ?`, value]),
      ["number < (select number from objects where id = ?)", after],
      ["number > (select number from objects where id = ?)", before],
      ...Object.entries(typeof created === "number" ? { "=": created } : created).map(([name, value]) => [
        `created ${OPERATORS[name] ?? "="} ?`,
        value,
      ]),
    ].filter(([, value]) => value !== undefined);
    const rows = this.#all(
      `select json from objects where ${conditions.map(([condition]) => condition).join(" and ")}
       order by number ${before === undefined ? "desc" : "asc"} limit ?`,
      [...conditions.map(([, value]) => value as string | number), limit + 1],
    );
    const data = rows.slice(0, limit).map((row) => parsed<Kinds[Kind]>(row));
    return { data: before === undefined ? data : data.reverse(), hasMore: rows.length > limit };
  }

  /** Reads what the stand-in notes about an object, beside the object that callers see. */
  note<Value>(id: string, name: string): Value | null {
    const [row] = this.#all("select json from notes where id = ? and name = ?", [id, name]);
    return row === undefined ? null : parsed<Value>(row);
  }

  /** Notes something about an object; `null` removes it. */
  setNote(id: string, name: string, value: unknown): void {
    if (value === null) this.#run("delete from notes where id = ? and name = ?", [id, name]);
    else this.#run("insert or replace into notes values (?, ?, ?)", [id, name, JSON.stringify(value)]);
  }

  /** Reads the answer under an idempotency key, if it was given at an instant (seconds) or later. */
  answer<Value>(key: string, from: number): { digest: string; value: Value } | null {
    const [row] = this.#all("select digest, json from answers where key = ? and at >= ?", [key, from]);
    return row === undefined ? null : { digest: (row as { digest: string }).digest, value: parsed<Value>(row) };
  }

  /** Keeps an answer under an idempotency key. `at` in seconds. */
  keepAnswer(key: string, digest: string, at: number, value: unknown): void {
    this.#run("insert or replace into answers values (?, ?, ?, ?)", [key, digest, at, JSON.stringify(value)]);
  }

  /** Adds to a log. */
  record(kind: string, value: unknown): void {
    this.#run("insert into records (kind, json) values (?, ?)", [kind, JSON.stringify(value)]);
  }

  /** Reads a log, oldest first. */
  records<Value>(kind: string): Value[] {
    return this.#all("select json from records where kind = ? order by number", [kind]).map((row) =>
      parsed<Value>(row),
    );
  }

  /** Empties a log. */
  forget(kind: string): void {
    this.#run("delete from records where kind = ?", [kind]);
  }

  /** Adds an event to send. `due` in milliseconds; `null` holds it. */
  addDelivery(event: string, due: number | null): void {
    this.#run("insert into deliveries (event, due, tries) values (?, ?, 0)", [event, due]);
  }

  /** Sets what became of a delivery. */
  updateDelivery({ number, due, tries, status }: Omit<Delivery, "event">): void {
    this.#run("update deliveries set due = ?, tries = ?, status = ? where number = ?", [due, tries, status, number]);
  }

  /** Lists the deliveries in the order in which they are due, or all of them as they were made. */
  deliveries({ dueOnly }: { dueOnly: boolean }): Delivery[] {
    const condition = dueOnly ? "where due is not null order by due, number limit 1000" : "order by number";
    return this.#all(`select * from deliveries ${condition}`, []) as Delivery[];
  }

  #all(query: string, values: readonly (string | number)[]): unknown[] {
    return this.#prepare(query).all(...values);
  }

  #run(query: string, values: readonly (string | number | null)[]): void {
    this.#prepare(query).run(...values);
  }

  #prepare(query: string): SqliteStatement {
    const known = this.#statements.get(query) ?? this.#database.prepare(query);
    this.#statements.set(query, known);
    return known;
  }
}

const OPERATORS: Readonly<Record<string, string>> = { gt: ">", gte: ">=", lt: "<", lte: "<=" };

function parsed<Value>(row: unknown): Value {
  return JSON.parse((row as { json: string }).json) as Value;
}
