import type { FastifyInstance } from "fastify";
import { ROLES, takesLicense } from "../../billing/roles.ts";
import { MAX_NAMED_MISSING, type OwnUser, type SyncedUser } from "../../contract/users.ts";
import { pendingChange } from "../control/routes.ts";
import type { PolicyChangeRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { actorOf } from "../events/events.ts";
import { type Identity, type Membership, type RouteDeps, register } from "../http/register.ts";
import { uuidFrom } from "../identity/secrets.ts";
import { readLicenseCounts } from "../subscriptions/store.ts";
import { addOrAsk } from "./administrators.ts";
import { type Changer, removeMember } from "./removal.ts";
import {
  addMembers,
  listMembers,
  type MemberDetails,
  type NewMember,
  readAssignmentStrategy,
  saveAssignmentStrategy,
} from "./store.ts";
import { assertMayGive, changeRole, syncMembers } from "./sync.ts";
import type { SyncPlan } from "./syncPlan.ts";

/** Registers the calls about users, in the shape of SecureFlag's public API (src/contract/README.md, Users). */
export function registerUsers(app: FastifyInstance, deps: RouteDeps): void {
  const changeBy = ({ user, token }: Identity) => ({
    actor: actorOf({ email: user.email, token }),
    at: deps.clock.now(),
  });
  const stateAfter = async ({ id }: Membership) => ({
    organizationLicenses: await readLicenseCounts(deps.database, id),
    assignmentStrategy: await readAssignmentStrategy(deps.database, id),
  });

  register(app, deps, "listUsers", async ({ organization, params }) => {
    const rows = await listMembers(deps.database, organization.id, params.number);
    return { status: 200, body: rows.map((row) => userView(row, organization)) };
  });

  register(app, deps, "addUser", async ({ organization, body, identity }) => {
    assertMayGive(body.role, changerOf(organization, identity), "role");
    const member = newMember(deps, body);
    const added = await addOrAsk(deps.database, organization.id, member, identity.user.id, changeBy(identity));
    return {
      status: added.pending ? 202 : 201,
      body: {
        user: added.row && userView(added.row, organization),
        ...(await stateAfter(organization)),
        pending: pendingView(added.pending, organization, identity),
      },
    };
  });

  register(app, deps, "importUsers", async ({ organization, body, identity }) => {
    for (const [index, { role }] of body.users.entries()) {
      assertMayGive(role, changerOf(organization, identity), `users[${index}].role`);
    }
    const list = body.users.map((user) => newMember(deps, user));
    const existing = await addMembers(deps.database, organization.id, list, changeBy(identity));
    return { status: 200, body: { existing, ...(await stateAfter(organization)) } };
  });

  register(app, deps, "updateUser", async ({ organization, params, body, identity }) => {
    const changer = changerOf(organization, identity);
    const update = { organizationId: organization.id, idUser: params.number, role: body.role, changer };
    const { row, pending } = await changeRole(deps.database, update, changeBy(identity), deps.now());
    const organizationLicenses = await readLicenseCounts(deps.database, organization.id);
    return {
      status: pending ? 202 : 200,
      body: {
        user: userView(row, organization),
        organizationLicenses,
        pending: pendingView(pending, organization, identity),
      },
    };
  });

  register(app, deps, "syncUsers", async ({ organization, body, identity }) => {
    const sync = {
      organizationId: organization.id,
      users: body.users,
      rows: body.users.map((user) => newMember(deps, user)),
      removes: body.remove,
      changer: changerOf(organization, identity),
      digest: body.plan ?? null,
    };
    const plan = await syncMembers(deps.database, sync, changeBy(identity), deps.now());
    return {
      status: 200,
      body: { ...planView(plan), applied: sync.digest !== null, ...(await stateAfter(organization)) },
    };
  });

  register(app, deps, "removeUser", async ({ organization, params, identity }) => {
    const removal = {
      organizationId: organization.id,
      idUser: params.number,
      remover: changerOf(organization, identity),
    };
    const pending = await removeMember(deps.database, removal, changeBy(identity), deps.now());
    return {
      status: pending ? 202 : 200,
      body: {
        organizationLicenses: await readLicenseCounts(deps.database, organization.id),
        pending: pendingView(pending, organization, identity),
      },
    };
  });

  register(app, deps, "getAssignmentStrategy", async ({ organization }) => ({
    status: 200,
    body: { assignmentStrategy: await readAssignmentStrategy(deps.database, organization.id) },
  }));

  register(app, deps, "setAssignmentStrategy", async ({ organization, body, identity }) => {
    await saveAssignmentStrategy(deps.database, organization.id, body.assignmentStrategy, changeBy(identity));
    return { status: 200, body };
  });
}

/** The row of a user to add. A sync does not add one without a name. */
function newMember({ random }: Pick<BackendDeps, "random">, user: SyncedUser): NewMember {
  const { email, firstName = "", lastName = "", role = ROLES.user, adminNoTraining = false } = user;
  return { uuid: uuidFrom(random(16)), email, firstName, lastName, role, adminNoTraining };
}

function userView(row: MemberDetails, organization: { id: number; name: string }): OwnUser {
  const adminNoTraining = row.admin_no_training === 1;
  const joined = instantText(row.joined_at);
  return {
    idUser: row.id,
    email: row.email,
    username: row.email,
    firstName: row.first_name,
    lastName: row.last_name,
    role: row.role,
    status: row.status,
    adminNoTraining,
    joinedDateTime: joined,
    licenseStart: takesLicense({ role: row.role, adminNoTraining }) ? joined : null,
    licenseEnd: null,
    defaultOrganization: { id: organization.id, name: organization.name },
    team: null,
    stripeCustomerId: null,
    stripeSubscriptionId: null,
    stripeSubscriptionAutorenewal: false,
    uuid: row.uuid,
    lastLogin: instantText(row.last_login),
    addedDateTime: instantText(row.added_at),
  };
}

function instantText(at: number | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

function pendingView(pending: PolicyChangeRow | null, { subscription }: Membership, reader: Identity) {
  return pending && pendingChange(pending, subscription.currency, reader);
}

function changerOf({ role }: Membership, { user, token }: Identity): Changer {
  return { id: user.id, role, isSignedIn: token === null };
}

/** The contract's view of a plan; `missing` names the first users only, so that the answer is never too large. */
function planView({ digest, added, changed, missing, kept, taken, freed }: SyncPlan) {
  return {
    plan: digest,
    added,
    changed: changed.map(({ position, member: { idUser, role, adminNoTraining } }) => ({
      position,
      idUser,
      role,
      adminNoTraining,
    })),
    missing: {
      count: missing.length,
      users: missing.slice(0, MAX_NAMED_MISSING).map(({ idUser, email }) => ({ idUser, email })),
    },
    kept: kept.map(({ member: { idUser, email }, reason }) => ({ idUser, email, reason })),
    neededLicenses: taken - freed,
  };
}
