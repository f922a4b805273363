import { createHash } from "node:crypto";
import { ROLES, type Training, takesLicense, updatedTraining } from "../../billing/roles.ts";
import { emailKey } from "../../contract/email.ts";
import type { SyncedUser } from "../../contract/users.ts";

/** A user of an organization, as a plan needs them. `isActive` is false until they have joined. */
export interface SyncedMember extends Training {
  readonly idUser: number;
  readonly userId: number;
  readonly email: string;
  readonly isActive: boolean;
}

/** A user whose role or training changes, and their position in the list. */
export interface SyncedChange {
  readonly position: number;
  readonly member: SyncedMember;
  readonly after: Training;
}

/** A user who stays as they are, although the list says otherwise. */
interface KeptMember {
  readonly member: SyncedMember;
  readonly reason: "caller" | "last_administrator";
}

/** What makes the users of an organization those of a list (src/contract/README.md, Users). */
export interface SyncPlan {
  /** Positions in the list. */
  readonly added: readonly number[];
  readonly changed: readonly SyncedChange[];
  /** Users who are not in the list, without those who are kept. They stay, unless the list removes. */
  readonly missing: readonly SyncedMember[];
  readonly kept: readonly KeptMember[];
  /** The licenses that are taken and freed; those of `missing` only if they are removed. */
  readonly taken: number;
  readonly freed: number;
  /** Whether `missing` are removed. */
  readonly removes: boolean;
  /** Identifies the plan: equal for equal changes. */
  readonly digest: string;
}

/** A list of users, each person once, and whether others are removed. */
export interface SyncedList {
  readonly users: readonly SyncedUser[];
  readonly removes: boolean;
}

/**
 * Plans how the users of an organization become those of a list: who is added, changed and removed. Names are not compared.
 * The caller, and one administrator if none would be left, are neither removed nor demoted.
 *
 * @param members all users who are not removed, by `idUser`
 * @param callerId the user ID of the caller
 */
export function planSync(members: readonly SyncedMember[], { users, removes }: SyncedList, callerId: number): SyncPlan {
  const known = new Map<string, SyncedMember[]>();
  for (const member of members) {
    const key = emailKey(member.email);
    known.set(key, [...(known.get(key) ?? []), member]);
  }
  const added: number[] = [];
  const changes: SyncedChange[] = [];
  for (const [position, user] of users.entries()) {
    const alike = known.get(emailKey(user.email)) ?? [];
    const member = alike.find(({ email }) => email.toLowerCase() === user.email.toLowerCase()) ?? alike[0];
    if (member === undefined) {
      added.push(position);
      continue;
    }
    const after = updatedTraining(member, user);
    if (after.role !== member.role || after.adminNoTraining !== member.adminNoTraining)
      changes.push({ position, member, after });
  }
  const listed = new Set(users.map(({ email }) => emailKey(email)));
  const absent = members.filter(({ email }) => !listed.has(emailKey(email)));
  const kept = keptOf(members, changes, removes ? absent : [], callerId);
  const staying = new Set(kept.map(({ member }) => member));
  const changed = changes.filter(({ member }) => !staying.has(member));
  // Whom removing would keep does not count as missing, also if nobody is removed.
  const wouldStay = removes ? kept : keptOf(members, changes, absent, callerId);
  const missing = absent.filter((member) => wouldStay.every((one) => one.member !== member));
  const fresh = added.flatMap((position) => users[position] ?? []);
  const before = [...changed.map(({ member }) => member), ...(removes ? missing : [])];
  const after = [...changed.map((change) => change.after), ...fresh.map(trainingOf)];
  const plan = {
    added,
    changed,
    missing,
    kept,
    taken: after.filter(takesLicense).length,
    freed: before.filter(takesLicense).length,
    removes,
  };
  return { ...plan, digest: digestOf(plan, fresh) };
}

/** The role and the training of a new user. */
function trainingOf({ role = ROLES.user, adminNoTraining = false }: SyncedUser): Training {
  return { role, adminNoTraining };
}

function keptOf(
  members: readonly SyncedMember[],
  changes: readonly SyncedChange[],
  removed: readonly SyncedMember[],
  callerId: number,
): KeptMember[] {
  const demoted = changes.filter(({ member, after }) => after.role > member.role).map(({ member }) => member);
  const caller = [...demoted, ...removed].find(({ userId }) => userId === callerId);
  const leaving = new Set([...demoted, ...removed].filter((member) => member !== caller));
  const kept: KeptMember[] = caller ? [{ member: caller, reason: "caller" }] : [];
  const promoted = new Set(
    changes.filter(({ after }) => after.role === ROLES.organizationAdministrator).map(({ member }) => member),
  );
  const administrators = members.filter((member) => member.role === ROLES.organizationAdministrator);
  // An invited administrator may never join.
  if ([...administrators, ...promoted].some((member) => member.isActive && !leaving.has(member))) return kept;
  const last = administrators.find((member) => member.isActive);
  return last ? [...kept, { member: last, reason: "last_administrator" }] : kept;
}

function digestOf({ changed, missing, removes }: Omit<SyncPlan, "digest">, fresh: readonly SyncedUser[]): string {
  const content = [
    fresh.map((user) => [emailKey(user.email), user.firstName, user.lastName, trainingOf(user)]),
    changed.map(({ member, after }) => [member.idUser, member.role, member.adminNoTraining, after]),
    removes ? missing.map(({ idUser, role, adminNoTraining }) => [idUser, role, adminNoTraining]) : null,
  ];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}
