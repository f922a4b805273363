import { type Kysely, type RawBuilder, sql } from "kysely";
import type { ReportKey } from "../../contract/constants.ts";
import { isPostgres } from "../database/engine.ts";
import type { Database } from "../database/schema.ts";

/** A time from `start` (included) to `until` (excluded), billing clock, milliseconds. */
export interface Period {
  readonly start: number;
  readonly until: number;
}

/** Receipts or credit notes of a period with one key: how many purchases, their licenses, and exact sums in minor units. */
export interface Payments {
  readonly key: string | null;
  /** Without renewals. */
  readonly purchases: number;
  /** Licenses that the purchases added. */
  readonly licenses: number;
  /** Tax included. */
  readonly total: bigint;
  readonly tax: bigint;
}

/** Users of one kind who were added or removed in a period. `adminNoTraining` is `null` if the audit log does not tell. */
export interface UserChanges {
  readonly count: number;
  readonly role: number;
  readonly adminNoTraining: boolean | null;
}

/** What happened in a period. */
export interface Happened {
  readonly charged: readonly Payments[];
  readonly refunded: readonly Payments[];
  readonly added: readonly UserChanges[];
  readonly removed: readonly UserChanges[];
  /** Those whose role or training changed, as they were after it. */
  readonly changed: readonly UserChanges[];
  /** The same, as they were before. */
  readonly changedFrom: readonly UserChanges[];
  /** Licenses that reductions took away. */
  readonly reduced: number;
}

/** What a report is made from, as of one moment. */
export interface ReportFacts {
  /** Of each period, in the order given. */
  readonly periods: readonly Happened[];
  readonly licenses: number;
  readonly used: number;
  /** When the organization's data begin, billing clock, milliseconds; `null` if nothing has happened yet. */
  readonly since: number | null;
}

/**
 * Reads what a report is made from, in one statement, so that everything is of the same moment.
 *
 * @param periods may overlap
 * @param by what receipts and credit notes are grouped by beside their period; `null` for nothing
 */
export async function readReportFacts(
  database: Kysely<Database>,
  organizationId: number,
  periods: readonly Period[],
  by: ReportKey | null,
): Promise<ReportFacts> {
  const { rows } = await factsStatement(database, organizationId, periods, by).execute(database);
  const now = rows.find(({ what }) => what === "now");
  const ofPeriod = (what: string, period: number) => rows.filter((row) => row.what === what && row.period === period);
  return {
    periods: periods.map((_, period) => ({
      charged: ofPeriod("charged", period).map(paymentsOf),
      refunded: ofPeriod("refunded", period).map(paymentsOf),
      added: ofPeriod("user.added", period).map(changesOf),
      removed: ofPeriod("user.removed", period).map(changesOf),
      changed: ofPeriod("user.updated", period).map(changesOf),
      changedFrom: ofPeriod("user.previous", period).map(changesOf),
      reduced: ofPeriod("reduced", period).reduce((sum, { licenses }) => sum + Number(licenses), 0),
    })),
    licenses: Number(now?.licenses),
    used: Number(now?.count),
    since: now?.total == null ? null : Number(now.total),
  };
}

/** A row of the statement. What its columns hold depends on `what`. */
interface FactRow {
  readonly what: string;
  readonly period: number | null;
  readonly key: string | null;
  readonly flag: string | null;
  // Sums are texts, because a sum of either database may be more than a number can hold.
  readonly count: string;
  readonly licenses: string;
  readonly total: string | null;
  readonly tax: string | null;
}

function paymentsOf({ key, count, licenses, total, tax }: FactRow): Payments {
  return {
    key,
    purchases: Number(count),
    licenses: Number(licenses),
    total: BigInt(total ?? 0),
    tax: BigInt(tax ?? 0),
  };
}

function changesOf({ key, flag, count }: FactRow): UserChanges {
  return { count: Number(count), role: Number(key), adminNoTraining: flag === null ? null : flag === "true" };
}

const KEY_COLUMNS = { buyer: "buyer_email", token: "buyer_token_name", po: "purchase_order" } as const;

function factsStatement(
  database: Kysely<Database>,
  organizationId: number,
  periods: readonly Period[],
  by: ReportKey | null,
): RawBuilder<FactRow> {
  const json = (column: string, ...path: string[]) => jsonText(database, column, path);
  const flag = (...path: string[]) => booleanText(json("data_json", ...path));
  const bounds = periods.map(
    ({ start, until }, number) => sql`(cast(${number} as integer), cast(${start} as bigint), cast(${until} as bigint))`,
  );
  const key = by === null ? sql`cast(null as text)` : sql.ref(`purchases.${KEY_COLUMNS[by]}`);
  const isPurchase = sql`purchases.kind = 'purchase'`;
  /** Receipts or credit notes, whose amounts are those of their purchases. */
  const payments = (table: "receipts" | "credit_notes", what: string) => sql`
    select ${sql.lit(what)} as what, periods.number as period, ${key} as key, cast(null as text) as flag,
      cast(sum(case when ${isPurchase} then 1 else 0 end) as text) as count,
      cast(sum(case when ${isPurchase} and purchases.state = 'fulfilled' then purchases.licenses else 0 end) as text) as licenses,
      cast(sum(purchases.total) as text) as total,
      cast(sum(cast(${json("purchases.price_json", "tax", "amount")} as bigint)) as text) as tax
    from periods
    join ${sql.table(table)} as issued on issued.issued_at >= periods.start and issued.issued_at < periods.until
      and issued.organization_id = ${organizationId}
    join purchases on purchases.organization_id = ${organizationId} and purchases.id = issued.purchase_id
    group by 1, 2, 3`;
  return sql<FactRow>`
    with periods (number, start, until) as (values ${sql.join(bounds)}),
    users as (
      select type, at, ${json("data_json", "role")} as role, ${flag("adminNoTraining")} as flag
      from events
      where organization_id = ${organizationId} and type in ('user.added', 'user.removed', 'user.updated')
      union all
      select 'user.previous', at, ${json("data_json", "previous", "role")}, ${flag("previous", "adminNoTraining")}
      from events where organization_id = ${organizationId} and type = 'user.updated'
    ), reductions as (
      select at, cast(${json("data_json", "from")} as bigint) - cast(${json("data_json", "to")} as bigint) as licenses
      from events where organization_id = ${organizationId} and type = 'reduction.applied'
    )
    ${payments("receipts", "charged")}
    union all ${payments("credit_notes", "refunded")}
    union all
    select users.type, periods.number, users.role, users.flag, cast(count(*) as text), '0', null, null
    from periods join users on users.at >= periods.start and users.at < periods.until
    group by 1, 2, 3, 4
    union all
    select 'reduced', periods.number, null, null, '0', cast(sum(reductions.licenses) as text), null, null
    from periods join reductions on reductions.at >= periods.start and reductions.at < periods.until
    group by 2
    union all
    select 'now', null, null, null, cast(subscriptions.used as text), cast(subscriptions.licenses as text),
      cast(coalesce(organizations.created_at, (
        select at from events where organization_id = ${organizationId} order by number limit 1)) as text), null
    from subscriptions join organizations on organizations.id = ${organizationId}
    where subscriptions.organization_id = ${organizationId}`;
}

/** A member of a JSON column as text; `null` without it. */
function jsonText(database: Kysely<Database>, column: string, path: readonly string[]): RawBuilder<string | null> {
  return isPostgres(database)
    ? sql`(${sql.ref(column)}::json #>> ${sql.lit(`{${path.join(",")}}`)})`
    : sql`cast(json_extract(${sql.ref(column)}, ${sql.lit(`$.${path.join(".")}`)}) as text)`;
}

/** A boolean of a JSON column as `true` or `false`, which SQLite calls 1 and 0. */
function booleanText(text: RawBuilder<string | null>): RawBuilder<string | null> {
  return sql`case ${text} when '1' then 'true' when '0' then 'false' else ${text} end`;
}
