import { WaitError, waitFor } from "../support/wait.ts";
import type { Tally } from "./ledger.ts";
import type { Cluster } from "./serviceCluster.ts";
import type { Order } from "./serviceOrders.ts";

/** Notifications of a killed instance are claimed for a minute. */
const SETTLE_MS = 100_000;

/** Longer than an instance claims a subscription or customer; those that were followed are looked at a day later. */
const CLAIM_MS = 120_000;

/** What is left to do: purchases that are not settled or still leased, notifications, and what webhooks are about. */
const LEFT = `
  select 'purchase ' || id || ' is ' || state || ', leased until ' || lease_until as what from purchases
    where lease_until > 0 or state not in ('fulfilled', 'declined', 'canceled', 'expired', 'refunded')
  union all select 'notification ' || id || ' was not sent' from outbox where sent_at is null
  union all select 'webhook ' || id || ' was not handled' from webhook_events where check_at is not null
  union all select kind || ' ' || id || ' was not followed' from provider_objects
    where check_at < extract(epoch from now()) * 1000 + ${CLAIM_MS}`;

/**
 * Waits until everything is settled and sent. What never is, is a violation.
 *
 * @param help what others do meanwhile, again and again
 */
export async function settle({ query }: Cluster, tally: Tally, help = async () => {}): Promise<void> {
  const isOver = async () => {
    await help();
    return (await query(LEFT)).length === 0;
  };
  try {
    await waitFor(isOver, SETTLE_MS);
  } catch (error) {
    if (!(error instanceof WaitError)) throw error;
    for (const { what } of await query(LEFT)) tally.expect(false, `${what}, at the end`);
  }
}

/** A payment that took money. */
export interface Paid {
  readonly payment: string;
  readonly purchase: string;
  /** In minor units, as what of it was refunded. */
  readonly amount: number;
  readonly refunded: number;
}

/** The payments that the provider of test cards took. */
async function cardPayments({ query }: Cluster): Promise<Paid[]> {
  const rows = await query(`select id as payment, purchase_id as purchase, amount::float8, refunded::float8
    from sandbox_payments where status = 'succeeded'`);
  return rows as unknown as Paid[];
}

/** What the provider took, of which statements are told by their first parameter. */
const PAID =
  "paid as (select * from jsonb_to_recordset($1) as (payment text, purchase text, amount float8, refunded float8))";

/** Per organization: what the provider took, what is booked, receipted and counted; and whether numbers have gaps. */
const ACCOUNTS = `
  with ${PAID}, captures as (
    select purchases.organization_id, paid.amount - paid.refunded as amount
    from paid join purchases on purchases.id = paid.purchase
  ), documents as (
    select organization_id, 'receipts' as kind, number, purchase_id from receipts
    union all select organization_id, 'credit notes', number, purchase_id from credit_notes
  ), numbers as (
    select organization_id, kind, number from documents
    union all select organization_id, 'purchases', sequence from purchases
    union all select organization_id, 'events', number from events
  )
  select organization_id::int as id, licenses::int,
    (select coalesce(sum(amount), 0) from captures c where c.organization_id = s.organization_id)::float8 as captured,
    (select coalesce(sum(case kind when 'charge' then amount else -amount end), 0) from ledger l
      where l.organization_id = s.organization_id)::float8 as booked,
    (select coalesce(sum(case d.kind when 'receipts' then total else -total end), 0)
      from documents d join purchases p on p.organization_id = d.organization_id and p.id = d.purchase_id
      where d.organization_id = s.organization_id)::float8 as receipted,
    (select coalesce(sum(p.licenses), 0) from purchases p where p.organization_id = s.organization_id
      and kind = 'purchase' and state = 'fulfilled')::int as bought,
    array(select kind || ': ' || count(*) || ' up to ' || max(number) from numbers n
      where n.organization_id = s.organization_id group by kind
      having count(distinct number) <> count(*) or max(number) <> count(*) or min(number) <> 1 or max(number) <>
        case kind when 'receipts' then receipt_count when 'credit notes' then credit_note_count
          when 'purchases' then purchase_count else event_count end) as gaps
  from subscriptions s order by 1`;

/** What may not exist, in the words of a violation. */
const IMPOSSIBLE = `
  with ${PAID}
  select 'purchase ' || purchase || ' was captured ' || count(*) || ' times' as what
    from paid group by purchase having count(*) > 1
  union all select 'payment ' || payment || ' belongs to no purchase' from paid
    left join purchases on payment_id = payment and id = purchase where payment_id is null
  union all select 'key ' || idempotency_key || ' bought ' || count(*) || ' times'
    from purchases where idempotency_key is not null group by organization_id, idempotency_key having count(*) > 1
  union all select 'purchase ' || id || ' is ' || state || ' with ' || count(number) || ' receipts'
    from purchases left join receipts on purchase_id = id
    group by purchases.organization_id, id, state having count(number) <> case when state in ('fulfilled') then 1 else 0 end
      and state <> 'refunded'
  union all select 'term ' || renewal_term || ' of organization ' || organization_id || ' was renewed ' || count(*) || ' times'
    from purchases where kind = 'renewal' group by organization_id, renewal_term having count(*) > 1`;

interface Account {
  readonly id: number;
  readonly licenses: number;
  readonly captured: number;
  readonly booked: number;
  readonly receipted: number;
  readonly bought: number;
  readonly gaps: readonly string[];
}

/**
 * Checks the invariants of all organizations in the database (src/backend/README.md, Invariants).
 *
 * @param seeded the initial licenses of each organization
 * @param paid what the provider took
 */
export async function checkAccounts(
  cluster: Cluster,
  seeded: number,
  tally: Tally,
  paid: readonly Paid[] | null = null,
): Promise<void> {
  const { query } = cluster;
  const payments = [JSON.stringify(paid ?? (await cardPayments(cluster)))];
  for (const { what } of await query(IMPOSSIBLE, payments)) tally.expect(false, String(what));
  for (const row of await query(ACCOUNTS, payments)) {
    const { id, licenses, captured, booked, receipted, bought, gaps } = row as unknown as Account;
    const isEven = captured === booked && booked === receipted;
    tally.expect(isEven, `organization ${id}: captured ${captured}, booked ${booked}, receipted ${receipted}`);
    tally.expect(licenses === seeded + bought, `organization ${id}: ${licenses} licenses, bought ${bought}`);
    tally.expect(gaps.length === 0, `organization ${id}: numbers of ${gaps.join("; ")}`);
  }
  const [counts] = await query(`select
    count(*) filter (where kind = 'purchase' and state = 'fulfilled')::int as purchases,
    count(*) filter (where kind = 'renewal' and state = 'fulfilled')::int as renewals,
    count(*) filter (where state = 'refunded')::int as refunds from purchases`);
  tally.purchases += Number(counts?.purchases);
  tally.renewals += Number(counts?.renewals);
  tally.refunds += Number(counts?.refunds);
}

/** Checks that each order became what its client was told, once. */
export async function checkOrders({ query }: Cluster, orders: readonly Order[], tally: Tally): Promise<void> {
  const rows = await query("select idempotency_key as key, licenses::int, state from purchases");
  const byKey = new Map(rows.map((row) => [String(row.key), row]));
  for (const { key, licenses, end } of orders) {
    const row = byKey.get(key);
    const expected = end === "succeeded" ? ["fulfilled"] : ["declined", "canceled", "refunded"];
    tally.expect(
      end === null || (expected.includes(String(row?.state)) && row?.licenses === licenses),
      `${key}: the client was told ${end} for ${licenses}, and there is ${row?.state ?? "nothing"} for ${row?.licenses ?? 0}`,
    );
  }
}
