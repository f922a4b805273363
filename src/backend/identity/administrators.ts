import { type Kysely, type RawBuilder, type SqlBool, sql } from "kysely";
import { canBuy } from "../../billing/roles.ts";
import type { Database } from "../database/schema.ts";

/**
 * Whether a membership is that of an administrator. Somebody who was only invited, or has not set up their account or
 * signed in since they were added, is not one yet.
 */
const IS_ADMINISTRATOR = sql<SqlBool>`role <= 0 and accepted = 1
  and (status = 'ACTIVE' or (status = 'INVITED' and administrator_since is not null))`;

/** When a membership begins and ends being that of an administrator, as values of an update of `members`. */
interface AdministratorTimes {
  readonly administrator_since: RawBuilder<number | null>;
  readonly administrator_until: RawBuilder<number | null>;
}

/**
 * The times of members who get another role, or leave.
 *
 * @param role `null` for leaving
 * @param at the billing clock, milliseconds
 */
export function timesAfterChange(role: number | null, at: number): AdministratorTimes {
  if (role !== null && canBuy(role)) {
    const since = sql<
      number | null
    >`case when role <= 0 then administrator_since when status = 'ACTIVE' or last_login is not null then ${at} end`;
    return { administrator_since: since, administrator_until: sql<number | null>`administrator_until` };
  }
  return {
    administrator_since: sql<number | null>`null`,
    administrator_until: sql<number | null>`case when ${IS_ADMINISTRATOR} then ${at} else administrator_until end`,
  };
}

/**
 * Since when a member is an administrator who joins, or signs in for the first time since they were added.
 *
 * @param at the billing clock, milliseconds
 */
export function sinceJoining(at: number): RawBuilder<number | null> {
  return sql<number | null>`case when role <= 0 and status = 'INVITED' then coalesce(administrator_since, ${at})
    else administrator_since end`;
}

/**
 * Returns since when a person is an administrator of an organization, billing clock, milliseconds; 0 for one from before
 * that was kept, `null` if they are none.
 */
export async function readAdministratorSince(
  tx: Kysely<Database>,
  organizationId: number,
  userId: number,
): Promise<number | null> {
  const row = await tx
    .selectFrom("members")
    .select("administrator_since")
    .where("organization_id", "=", organizationId)
    .where("user_id", "=", userId)
    .where(IS_ADMINISTRATOR)
    .executeTakeFirst();
  return row ? (row.administrator_since ?? 0) : null;
}

/** An administrator of an organization, and since when; 0 for one from before that was kept. Billing clock, milliseconds. */
export interface Administrator {
  readonly userId: number;
  readonly email: string;
  readonly since: number;
}

/** Lists the administrators of an organization, in the order of their user IDs. */
export async function administratorsOf(database: Kysely<Database>, organizationId: number): Promise<Administrator[]> {
  const rows = await database
    .selectFrom("members")
    .select(["user_id", "email", "administrator_since"])
    .where("organization_id", "=", organizationId)
    .where(IS_ADMINISTRATOR)
    .orderBy("user_id")
    .execute();
  return rows.map(({ user_id: userId, email, administrator_since: since }) => ({ userId, email, since: since ?? 0 }));
}

/**
 * Reports whether an organization has, or had since an instant, an administrator beside a person.
 *
 * @param since billing clock, milliseconds; `null` for now only
 */
export async function hasAnotherAdministrator(
  tx: Kysely<Database>,
  organizationId: number,
  userId: number,
  since: number | null,
): Promise<boolean> {
  const another = await tx
    .selectFrom("members")
    .select("id")
    .where("organization_id", "=", organizationId)
    .where("user_id", "<>", userId)
    .where((where) =>
      since === null ? IS_ADMINISTRATOR : where.or([IS_ADMINISTRATOR, where("administrator_until", ">", since)]),
    )
    .limit(1)
    .executeTakeFirst();
  return another !== undefined;
}
