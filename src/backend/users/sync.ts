import type { Kysely } from "kysely";
import { changesAdministrators, isPolicySet } from "../../billing/policy.ts";
import { canBuy, ROLES, roleName, takesLicense, updatedTraining } from "../../billing/roles.ts";
import { emailKey } from "../../contract/email.ts";
import { askForChange, lockPolicy, withdrawChangesOf } from "../control/changes.ts";
import { batches } from "../database/batches.ts";
import type { Database, PolicyChangeRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BackendError } from "../errors.ts";
import { type Change, recordEvents } from "../events/events.ts";
import { timesAfterChange } from "../identity/administrators.ts";
import { changeUsed } from "../subscriptions/store.ts";
import { assertNoPolicy, endRights, memberWith, readMembers } from "./members.ts";
import { assertAdministratorLeft, assertSignedIn, type Changer } from "./removal.ts";
import { changeLicenses, enroll, type NewMember, readMember } from "./store.ts";
import { planSync, type SyncedChange, type SyncedList, type SyncedMember, type SyncPlan } from "./syncPlan.ts";

/** A list that the users of an organization are to become, with the rows of those who would be added. */
export interface Sync extends SyncedList {
  readonly organizationId: number;
  /** As long as `users`. */
  readonly rows: readonly NewMember[];
  readonly changer: Changer;
  /** The digest of the plan to apply; `null` to plan only. */
  readonly digest: string | null;
}

/**
 * Makes the users of an organization those of a list, all or nothing, if that is still what the plan said. Freed licenses
 * are used before others are needed.
 *
 * @param now the machine's clock, milliseconds
 * @throws BackendError `users_changed` if the plan is another one now; `forbidden` for what the caller may not do;
 *   `no_license_available`, `subscription_not_purchasable`
 */
export async function syncMembers(
  database: Kysely<Database>,
  sync: Sync,
  change: Change,
  now: number,
): Promise<SyncPlan> {
  const { organizationId, changer, digest } = sync;
  return inTransaction(database, async (tx) => {
    // Locks the subscription, so that of two changes at once the second one plans with what the first one made.
    if (digest !== null) await changeUsed(tx, organizationId, 0);
    const plan = planSync(await readMembers(tx, organizationId), sync, changer.id);
    assertNamed(plan, sync);
    assertMayApply(plan, sync);
    await assertNoPolicy(tx, organizationId, administratorPaths(plan, sync));
    if (digest === null) return plan;
    if (digest !== plan.digest) throw usersChanged();
    await apply(tx, plan, sync, change, now);
    return plan;
  });
}

/** The fields of a list that change who is an administrator. */
function administratorPaths({ added, changed, missing, removes }: SyncPlan, { users }: SyncedList): string[] {
  const promoted = added.filter((position) => canBuy(users[position]?.role ?? ROLES.user));
  const changing = changed.filter(({ member, after }) => changesAdministrators(member.role, after.role));
  return [
    ...[...promoted, ...changing.map(({ position }) => position)].map((position) => `users[${position}].role`),
    ...(removes && missing.some(({ role }) => canBuy(role)) ? ["remove"] : []),
  ];
}

/** @throws BackendError `invalid_request` for a user to add without a name */
function assertNamed({ added }: SyncPlan, { users }: SyncedList): void {
  const names = ["firstName", "lastName"] as const;
  const nameless = added.flatMap((position) =>
    names.filter((name) => users[position]?.[name] === undefined).map((name) => `users[${position}].${name}`),
  );
  if (nameless.length === 0) return;
  const errors = nameless.map((path) => ({ path, message: "is empty" }));
  throw new BackendError("invalid_request", `The request is not valid: ${nameless[0]}: is empty`, { errors });
}

function assertMayApply({ added, changed, missing, removes }: SyncPlan, { users, changer }: Sync): void {
  for (const position of added) assertMayGive(users[position]?.role, changer, `users[${position}].role`);
  for (const { position, member, after } of changed) {
    assertMayChange(member, changer);
    assertMayGive(after.role, changer, `users[${position}].role`);
  }
  if (!removes) return;
  for (const { email, role } of missing) {
    if (canBuy(role)) assertSignedIn(changer.isSignedIn, `remove the administrator ${email}`);
    if (role < changer.role) throw outranked(changer, "remove", role);
  }
}

/** @throws BackendError `forbidden` for a user whom the caller may not change */
function assertMayChange({ role, email }: Pick<SyncedMember, "role" | "email">, changer: Changer): void {
  if (canBuy(role)) assertSignedIn(changer.isSignedIn, `change the administrator ${email}`);
  if (role < changer.role) throw outranked(changer, "change", role);
}

function outranked(changer: Changer, verb: string, role: number): BackendError {
  return new BackendError("forbidden", `The role ${roleName(changer.role)} cannot ${verb} a ${roleName(role)}`);
}

/**
 * Refuses a role that the caller may not assign: one more powerful than their own, and for an API token any role that sees
 * billing.
 *
 * @param path the field of the request
 * @throws BackendError `forbidden`, `invalid_request`
 */
export function assertMayGive(role: number | undefined, changer: Changer, path: string): void {
  if (role === undefined) return;
  if (canBuy(role)) assertSignedIn(changer.isSignedIn);
  if (role >= changer.role) return;
  const message = `you may not assign role ${role}`;
  throw new BackendError("invalid_request", `The request is not valid: ${path}: ${message}`, {
    errors: [{ path, message }],
  });
}

function usersChanged(): BackendError {
  return new BackendError("users_changed", "The users of the organization changed since the plan was made");
}

/** Applies a plan: those who leave first, so that others can take their licenses. */
async function apply(tx: Kysely<Database>, plan: SyncPlan, sync: Sync, change: Change, now: number): Promise<void> {
  const { organizationId, rows } = sync;
  if (plan.removes) await takeOutAll(tx, organizationId, plan.missing, change, now);
  await changeAll(tx, organizationId, plan.changed, change, now);
  const fresh = plan.added.flatMap((position) => rows[position] ?? []);
  const added = await enroll(tx, organizationId, fresh, change, plan);
  // Someone whose spelling the plan did not recognize.
  if (fresh.some(({ email }) => !added.has(emailKey(email)))) throw usersChanged();
}

async function takeOutAll(
  tx: Kysely<Database>,
  organizationId: number,
  members: readonly SyncedMember[],
  change: Change,
  now: number,
): Promise<void> {
  for await (const batch of batches(members)) {
    const ids = batch.map(({ idUser }) => idUser);
    await tx
      .updateTable("members")
      .set({ status: "REMOVED", ...timesAfterChange(null, change.at) })
      .where("organization_id", "=", organizationId)
      .where("id", "in", ids)
      .execute();
  }
  await endRights(tx, organizationId, members, change, now);
  const events = members.map(({ idUser, email, role, adminNoTraining }) => ({
    type: "user.removed",
    data: { idUser, email, role, adminNoTraining },
  }));
  await recordEvents(tx, { ...change, organizationId }, events);
}

async function changeAll(
  tx: Kysely<Database>,
  organizationId: number,
  changed: readonly SyncedChange[],
  change: Change,
  now: number,
): Promise<void> {
  const kinds = new Map(changed.map(({ after }) => [JSON.stringify(after), after]));
  for (const [kind, { role, adminNoTraining }] of kinds) {
    for await (const batch of batches(changed.filter(({ after }) => JSON.stringify(after) === kind))) {
      const ids = batch.map(({ member }) => member.idUser);
      await tx
        .updateTable("members")
        .set({ role, admin_no_training: adminNoTraining ? 1 : 0, ...timesAfterChange(role, change.at) })
        .where("organization_id", "=", organizationId)
        .where("id", "in", ids)
        .where("status", "!=", "REMOVED")
        .execute();
    }
  }
  const demoted = changed.filter(({ member, after }) => canBuy(member.role) && !canBuy(after.role));
  if (demoted.length > 0) {
    const members = demoted.map(({ member }) => member);
    await endRights(tx, organizationId, members, change, now);
  }
  const events = changed.map(({ member: { idUser, email, role, adminNoTraining }, after }) => ({
    type: "user.updated",
    data: { idUser, email, ...after, previous: { role, adminNoTraining } },
  }));
  await recordEvents(tx, { ...change, organizationId }, events);
}

/** A user to give another role, and the caller; `null` once the change was approved. */
export interface RoleChange {
  readonly organizationId: number;
  readonly idUser: number;
  readonly role: number;
  readonly changer: Changer | null;
}

/**
 * Gives a user another role, which takes or frees a license as the role demands, and records it in the audit log. The role
 * that they have already is no change, and withdraws what waits for them. While a policy is set, a change of who is an
 * administrator waits (src/billing/README.md, Policy).
 *
 * @param now the machine's clock, milliseconds
 * @returns the user after it, and the change that waits
 * @throws BackendError `not_found`; `forbidden`, `invalid_request` for what the caller may not do, and for the last
 *   administrator; `no_license_available`, `subscription_not_purchasable`
 */
export async function changeRole(database: Kysely<Database>, change: RoleChange, by: Change, now: number) {
  return inTransaction(database, async (tx) => {
    const pending = await changeRoleIn(tx, change, by, now);
    return { row: await readMember(tx, change.organizationId, change.idUser), pending };
  });
}

/** `changeRole` inside a transaction. */
export async function changeRoleIn(
  tx: Kysely<Database>,
  { organizationId, idUser, role, changer }: RoleChange,
  by: Change,
  now: number,
): Promise<PolicyChangeRow | null> {
  if (changer) assertMayGive(role, changer, "role");
  const { role: current, email, userId } = await memberWith(tx, organizationId, idUser);
  if (current === role) {
    // Nobody withdraws what others ask for about them.
    if (changer?.isSignedIn && userId !== changer.id) await withdrawChangesOf(tx, organizationId, email, by);
    return null;
  }
  // Of two changes at once, the second one sees what the first one made.
  const { policy } = await lockPolicy(tx, organizationId);
  const member = await memberWith(tx, organizationId, idUser);
  if (changer) {
    assertMayChange(member, changer);
    if (member.userId === changer.id) throw new BackendError("invalid_request", "You cannot change your own role");
  }
  if (changer && isPolicySet(policy) && changesAdministrators(member.role, role)) {
    const asker = { ...by, userId: changer.id };
    return askForChange(
      tx,
      organizationId,
      { kind: "user_update", idUser, email: member.email, from: member.role, role },
      asker,
    );
  }
  const after = updatedTraining(member, { role });
  if (after.role !== member.role) await changeAll(tx, organizationId, [{ position: 0, member, after }], by, now);
  const licenses = { taken: takesLicense(after) ? 1 : 0, freed: takesLicense(member) ? 1 : 0 };
  if (licenses.taken !== licenses.freed) await changeLicenses(tx, organizationId, licenses, by.at);
  if (member.role === ROLES.organizationAdministrator) await assertAdministratorLeft(tx, organizationId, "demoted");
  return null;
}
