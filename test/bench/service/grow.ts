import { tokenOf } from "../../support/seed.ts";
import type { Cluster } from "./cluster.ts";
import { ServingError } from "./serving.ts";

/** SQL of a value by column, for copies of a row `t`: `o` is the organization, `n` the purchase. */
type Values = Readonly<Record<string, string>>;

const TOKEN = `'${tokenOf(0).slice(0, -1)}' || o`;

const ID = "substr(md5(o || '/' || n), 1, 24)";
const PURCHASE = `'pur_' || o || '_' || ${ID}`;
const QUOTE = `'quo_' || ${ID}`;
const PAYMENT = `'pay_' || ${ID}`;

/** What one row of each table becomes for every organization. */
const OF_ORGANIZATION: Readonly<Record<string, Values>> = {
  organizations: { id: "o" },
  members: { organization_id: "o" },
  api_tokens: { organization_id: "o" },
  token_index: { organization_id: "o", token_hash: `encode(sha256((${TOKEN})::bytea), 'hex')` },
};

/** What the rows of one purchase become for every purchase. */
const OF_PURCHASE: Readonly<Record<string, Values>> = {
  quotes: { organization_id: "o", id: QUOTE },
  purchases: {
    organization_id: "o",
    id: PURCHASE,
    sequence: "n",
    quote_id: QUOTE,
    idempotency_key: ID,
    payment_id: PAYMENT,
    buyer_token_id: "t.buyer_token_id",
  },
  idempotency_keys: { organization_id: "o", key: ID, purchase_id: PURCHASE },
  receipts: { organization_id: "o", number: "n", purchase_id: PURCHASE },
  ledger: { organization_id: "o", purchase_id: PURCHASE },
  events: { organization_id: "o", number: "2 * (n - 1) + t.number", purchase_id: PURCHASE },
  outbox: { organization_id: "o", id: ID, sent_at: "t.created_at" },
  sandbox_payments: {
    id: PAYMENT,
    purchase_id: PURCHASE,
    create_key: `${PURCHASE} || ':create'`,
    confirm_key: `${PURCHASE} || ':confirm:0'`,
  },
  sandbox_attempts: { key: `${PURCHASE} || ':confirm:0'`, payment_id: PAYMENT },
};

/**
 * Fills a database with copies of the first organization and its first purchase, which must exist.
 *
 * @param purchases how many each organization has
 */
export async function growTo(
  cluster: Cluster,
  database: string,
  organizations: number,
  purchases: number,
): Promise<void> {
  const copies = [
    ...Object.entries(OF_ORGANIZATION).map(([table, values]) => ({ table, values, per: 1 })),
    { table: "subscriptions", values: counted(purchases), per: 1 },
    ...Object.entries(OF_PURCHASE).map(([table, values]) => ({ table, values, per: purchases })),
  ];
  // Two at a time, one for each processor. What refers to each other comes from one row, so it need not be checked.
  const next = async (): Promise<void> => {
    const copy = copies.shift();
    if (!copy) return;
    const from = `(${await firstRows(cluster, database, copy.table)}) as t`;
    const columns = await columnsOf(cluster, database, copy.table);
    const values = columns.map((column) => copy.values[column] ?? `t."${column}"`);
    await cluster.query(
      database,
      `set session_replication_role = replica; set synchronous_commit = off; set timezone = 'UTC';
      insert into ${copy.table} (${columns.map((column) => `"${column}"`).join(", ")})
      select ${values.join(", ")} from ${from},
        generate_series(2, ${organizations}) as o, generate_series(1, ${copy.per}) as n`,
    );
    await next();
  };
  await Promise.all([next(), next()]);
  await cluster.query(database, "vacuum analyze");
  await cluster.query(database, "checkpoint");
}

/** A subscription after so many purchases of one license. */
function counted(purchases: number): Values {
  return {
    organization_id: "o",
    licenses: `25 + ${purchases}`,
    version: `1 + 2 * ${purchases}`,
    receipt_count: String(purchases),
    purchase_count: String(purchases),
    event_count: `2 * ${purchases}`,
  };
}

/** The rows to copy: of a purchase, those of the first. */
async function firstRows(cluster: Cluster, database: string, table: string): Promise<string> {
  const [first] = await cluster.query(
    database,
    "select id, quote_id, payment_id from purchases order by sequence limit 1",
  );
  if (!first) throw new ServingError("There is no purchase to copy");
  const whole = `select * from ${table}`;
  switch (table) {
    case "quotes":
      return `${whole} where id = '${first.quote_id}'`;
    case "purchases":
      return `${whole} where id = '${first.id}'`;
    case "idempotency_keys":
    case "receipts":
    case "ledger":
    case "events":
    case "sandbox_payments":
      return `${whole} where purchase_id = '${first.id}'`;
    case "sandbox_attempts":
      return `${whole} where payment_id = '${first.payment_id}'`;
    default:
      return `${whole} limit 1`;
  }
}

/** The columns of a table without those that number themselves. */
async function columnsOf(cluster: Cluster, database: string, table: string): Promise<string[]> {
  const rows = await cluster.query(
    database,
    `select column_name from information_schema.columns
    where table_schema = 'public' and table_name = '${table}' and is_identity = 'NO' order by ordinal_position`,
  );
  return rows.map((row) => String(row.column_name));
}
