import type { Kysely } from "kysely";
import { canBuy, ROLES } from "../../billing/roles.ts";
import { emailKey, isEmailAddress } from "../../contract/email.ts";
import type { Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { OPERATOR, recordEvent } from "../events/events.ts";
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
  /** Where they choose a password, good once for an hour; `null` for a person who has one, unless it is replaced. */
  readonly link: string | null;
}

/** How to create an administrator. */
export interface AdministratorOptions {
  readonly publicUrl: URL;
  /** Whether an administrator who has a password and an authenticator app gets a link that replaces both. */
  readonly isReplacing: boolean;
  random(bytes: number): Buffer;
}

/**
 * Makes a person an administrator of an organization, without taking a license. An administrator who has no password
 * yet, or whose password is to be replaced, gets another link.
 *
 * @throws BackendError `not_found` for an unknown organization, `settings_invalid` for an email that is not one,
 *   `invalid_request` for a user of the organization who has a password that is not to be replaced, or is no administrator
 */
export async function createAdministrator(
  database: Kysely<Database>,
  administrator: NewAdministrator,
  { publicUrl, isReplacing, random }: AdministratorOptions,
): Promise<CreatedAdministrator> {
  const { organizationId, email } = administrator;
  if (!isEmailAddress(email)) throw invalidSettings([`Not an email address: ${email}`]);
  await readSubscription(database, organizationId);
  const now = Math.round(await databaseNow(database));
  const known = await findAdministrator(database, organizationId, email);
  if (known === undefined && isReplacing) throw notAnAdministrator(administrator);
  if (known !== undefined && known.password_hash !== NO_PASSWORD) {
    if (!isReplacing) throw hasPassword(email);
    const data = { idUser: known.id, email };
    await inTransaction(database, (tx) =>
      recordEvent(tx, { organizationId, at: now, actor: OPERATOR, type: "user.sign_in_replaced", data }),
    );
  }
  if (known === undefined) {
    const role = ROLES.organizationAdministrator;
    const member = { ...administrator, uuid: uuidFrom(random(16)), role, adminNoTraining: true };
    await addMember(database, organizationId, member, { actor: OPERATOR, at: now });
  }
  const user = await findUser(database, email);
  if (user === undefined) throw new BackendError("internal", `User ${email} not found`);
  if (user.password_hash !== NO_PASSWORD && !isReplacing) return { organizationId, email, link: null };
  const ticket = await issueTicket({ database, now: () => now, random }, user.id, "setup", null);
  return { organizationId, email, link: `${publicUrl.origin}${SETUP_PATH}/${ticket}` };
}

function hasPassword(email: string): BackendError {
  const message = `${email} is already an administrator of this organization, and has a password`;
  const hint = "Pass --replace to print a link that replaces the password and the authenticator app.";
  return new BackendError("invalid_request", message, { errors: [{ path: "email", message }] }, {}, hint);
}

function notAnAdministrator({ organizationId, email }: NewAdministrator): BackendError {
  const message = `${email} is not an administrator of organization ${organizationId}`;
  const hint = "Omit --replace to add an administrator.";
  return new BackendError("invalid_request", message, { errors: [{ path: "email", message }] }, {}, hint);
}

/** Finds an administrator of an organization; `undefined` for anyone else. */
async function findAdministrator(database: Kysely<Database>, organizationId: number, email: string) {
  const member = await database
    .selectFrom("members")
    .innerJoin("users", "users.id", "members.user_id")
    .select(["members.id", "members.role", "members.accepted", "users.password_hash"])
    .where("members.organization_id", "=", organizationId)
    .where("members.status", "!=", "REMOVED")
    .where("users.email_key", "=", emailKey(email))
    .executeTakeFirst();
  // The account of someone who has not accepted the invitation belongs to another organization.
  const isOurs = member?.accepted === 1 || member?.password_hash === NO_PASSWORD;
  return member !== undefined && canBuy(member.role) && isOurs ? member : undefined;
}
