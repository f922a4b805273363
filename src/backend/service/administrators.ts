import type { Kysely } from "kysely";
import { canBuy, ROLES } from "../../billing/roles.ts";
import { emailKey, isEmailAddress } from "../../contract/email.ts";
import type { Database } from "../database/schema.ts";
import { BackendError } from "../errors.ts";
import { OPERATOR } from "../events/events.ts";
import { findUser, NO_PASSWORD } from "../identity/memberships.ts";
import { uuidFrom } from "../identity/secrets.ts";
import { issueTicket } from "../identity/tickets.ts";
import { SETUP_PATH } from "../pages/setup.tsx";
import { readSubscription } from "../subscriptions/store.ts";
import { addMember } from "../users/store.ts";
import { databaseNow } from "./clock.ts";
import { invalidSettings } from "./given.ts";

/** An administrator to create. */
export interface NewAdministrator {
  readonly organizationId: number;
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
}

/** How an administrator gets in. */
export interface CreatedAdministrator {
  readonly organizationId: number;
  readonly email: string;
  /** Where they choose a password, good once for an hour; `null` for a person who has one. */
  readonly link: string | null;
}

/**
 * Makes a person an administrator of an organization, who takes no license. For an administrator who has no password yet it
 * gives another link.
 *
 * @throws BackendError `not_found` for an unknown organization, `settings_invalid` for an email that is not one,
 *   `invalid_request` for a user of the organization who has a password, or is no administrator
 */
export async function createAdministrator(
  database: Kysely<Database>,
  administrator: NewAdministrator,
  { publicUrl, random }: { publicUrl: URL; random(bytes: number): Buffer },
): Promise<CreatedAdministrator> {
  const { organizationId, email } = administrator;
  if (!isEmailAddress(email)) throw invalidSettings([`Not an email address: ${email}`]);
  await readSubscription(database, organizationId);
  const now = Math.round(await databaseNow(database));
  if (!(await isAdministratorWithoutPassword(database, organizationId, email))) {
    const role = ROLES.organizationAdministrator;
    const member = { ...administrator, uuid: uuidFrom(random(16)), role, adminNoTraining: true };
    await addMember(database, organizationId, member, { actor: OPERATOR, at: now });
  }
  const user = await findUser(database, email);
  if (user === undefined) throw new BackendError("internal", `User ${email} not found`);
  if (user.password_hash !== NO_PASSWORD) return { organizationId, email, link: null };
  const ticket = await issueTicket({ database, now: () => now, random }, user.id, "setup", null);
  return { organizationId, email, link: `${publicUrl.origin}${SETUP_PATH}/${ticket}` };
}

async function isAdministratorWithoutPassword(
  database: Kysely<Database>,
  organizationId: number,
  email: string,
): Promise<boolean> {
  const member = await database
    .selectFrom("members")
    .innerJoin("users", "users.id", "members.user_id")
    .select(["members.role", "users.password_hash"])
    .where("members.organization_id", "=", organizationId)
    .where("members.status", "!=", "REMOVED")
    .where("users.email_key", "=", emailKey(email))
    .executeTakeFirst();
  return member !== undefined && canBuy(member.role) && member.password_hash === NO_PASSWORD;
}
