import { type Kysely, sql } from "kysely";
import { preparedStatement } from "../database/prepared.ts";
import type {
  ApiTokenRow,
  Database,
  OrganizationSubscription,
  SessionRow,
  SubscriptionRow,
  UserRow,
} from "../database/schema.ts";

const USER = ["id", "uuid", "email", "email_key", "password_hash", "totp_secret"] as const;

const TOKEN = [
  "organization_id",
  "id",
  "user_id",
  "name",
  "scopes_json",
  "expires_at",
  "revoked_at",
  "limit_amount",
  "limit_licenses",
  "created_at",
  "last4",
  "trust_json",
] as const;

const SESSION = ["id", "access_expires_at", "mfa_at"] as const;

/** All columns, because callers use any of them. */
const SUBSCRIPTION = Object.keys({
  organization_id: true,
  plan: true,
  interval: true,
  interval_count: true,
  anchor_date: true,
  term_index: true,
  unit_price: true,
  currency: true,
  tax_rate: true,
  licenses: true,
  used: true,
  auto_renew: true,
  payment_method: true,
  version: true,
  receipt_count: true,
  credit_note_count: true,
  purchase_count: true,
  event_count: true,
  renew_at: true,
  reduction: true,
  reduction_term: true,
  unpaid_renewal: true,
  customer_id: true,
  payment_method_label: true,
  provider_subscription: true,
  provider_item: true,
  provider_quantity: true,
  provider_status: true,
  payment_method_expires: true,
  card_entry: true,
  card_entries: true,
  remind_at: true,
  approval_above: true,
  budget_amount: true,
  budget_period: true,
  budget_told: true,
} satisfies Record<keyof SubscriptionRow, true>);

/** What one statement finds out about a caller. */
export interface Admitted {
  readonly user: UserRow;
  readonly token: ApiTokenRow | null;
  readonly session: Pick<SessionRow, (typeof SESSION)[number]> | null;
  /** The caller's role in the organization that was asked for, and its subscription; `null` without access to it. */
  readonly member: { readonly role: number; readonly subscription: OrganizationSubscription } | null;
}

/** What identifies a caller: the hash of a token, the organization that is asked for, and the machine's clock. */
type CallerValues = { readonly hash: string; readonly organization: number | null; readonly now: number };

/**
 * Finds the API token or the session with a hash, its user, and the user's access to an organization with its subscription,
 * in one statement.
 *
 * @param organizationId `null` to ask for no organization
 * @param now the machine's clock, milliseconds
 */
export async function findCaller(
  database: Kysely<Database>,
  kind: "token" | "session",
  tokenHash: string,
  organizationId: number | null,
  now: number,
): Promise<Admitted | null> {
  const find = STATEMENTS[kind][organizationId === null ? "alone" : "inOrganization"];
  const [row] = await find(database, { hash: tokenHash, organization: organizationId, now });
  return row ? admitted(row, kind === "token") : null;
}

function callerStatement(isToken: boolean, inOrganization: boolean) {
  return preparedStatement<CallerValues, Record<string, unknown>>((parameter) => {
    const caller = isToken
      ? sql`token_index as i
          join api_tokens as t on t.organization_id = i.organization_id and t.id = i.token_id
            and t.revoked_at is null and (t.expires_at is null or t.expires_at > ${parameter("now")})
            and (i.expires_at is null or i.expires_at > ${parameter("now")})
          join users as u on u.id = t.user_id`
      : sql`sessions as x join users as u on u.id = x.user_id`;
    const isCaller = isToken
      ? sql`i.token_hash = ${parameter("hash")}`
      : sql`x.access_hash = ${parameter("hash")} and x.access_expires_at > ${parameter("now")} and x.revoked_at is null`;
    const organization = parameter("organization");
    const own = isToken ? sql`and t.organization_id = ${organization}` : sql``;
    const from = inOrganization
      ? sql`${caller}
          left join members as m on m.organization_id = ${organization} and m.user_id = u.id
            and m.status <> 'REMOVED' and m.accepted = 1 ${own}
          left join organizations as o on o.id = ${organization} and m.user_id is not null
          left join subscriptions as s on s.organization_id = ${organization} and m.user_id is not null
          left join purchases as r on r.organization_id = ${organization} and r.id = s.unpaid_renewal`
      : caller;
    const columns = [
      ...aliased("u", USER),
      ...(isToken ? [...aliased("t", TOKEN), EXCHANGE_EXPIRY] : aliased("x", SESSION)),
      ...(inOrganization ? [...aliased("s", SUBSCRIPTION), ORGANIZATION] : []),
    ];
    return sql<Record<string, unknown>>`select ${sql.join(columns)} from ${from} where ${isCaller}`;
  });
}

/** When a token that was exchanged by a trust expires, which itself does not. */
const EXCHANGE_EXPIRY = sql`i.expires_at as i_expires_at`;

const ORGANIZATION = sql`m.role as role, o.name as o_name, o.time_zone as o_time_zone, r.state as r_state,
  r.total as r_total, r.confirm_count as r_attempts, r.grace_until as r_grace_until`;

const STATEMENTS = {
  token: { alone: callerStatement(true, false), inOrganization: callerStatement(true, true) },
  session: { alone: callerStatement(false, false), inOrganization: callerStatement(false, true) },
};

function aliased(table: string, columns: readonly string[]) {
  return columns.map((column) => sql`${sql.ref(`${table}.${column}`)} as ${sql.id(`${table}_${column}`)}`);
}

function admitted(row: Record<string, unknown>, isToken: boolean): Admitted {
  const part = <Part>(table: string, columns: readonly string[]) =>
    Object.fromEntries(columns.map((column) => [column, row[`${table}_${column}`]])) as Part;
  const hasAccess = typeof row.role === "number";
  const [token, expiresAt] = [part<ApiTokenRow>("t", TOKEN), row.i_expires_at as number | null];
  return {
    user: part<UserRow>("u", USER),
    token: isToken ? { ...token, expires_at: expiresAt ?? token.expires_at } : null,
    session: isToken ? null : part<NonNullable<Admitted["session"]>>("x", SESSION),
    member: hasAccess ? { role: row.role as number, subscription: subscriptionOf(row, part("s", SUBSCRIPTION)) } : null,
  };
}

function subscriptionOf(
  row: Record<string, unknown>,
  subscription: Omit<OrganizationSubscription, "name">,
): OrganizationSubscription {
  return {
    ...subscription,
    name: row.o_name,
    time_zone: row.o_time_zone,
    renewal_state: row.r_state,
    renewal_total: row.r_total,
    renewal_attempts: row.r_attempts,
    renewal_grace_until: row.r_grace_until,
  } as OrganizationSubscription;
}
