import type { FastifyInstance } from "fastify";
import { isRole, ROLES, takesLicense } from "../../billing/roles.ts";
import type { User } from "../../contract/users.ts";
import type { BackendDeps } from "../deps.ts";
import { register } from "../http/register.ts";
import { ProblemError } from "../problem.ts";
import { actorOf } from "../store/acceptance.ts";
import { readLicenseCounts } from "../store/subscriptions.ts";
import { addMember, listMembers, type MemberDetails } from "../store/users.ts";

/** Users, in the shape of SecureFlag's public API (product.md). */
export function registerUsers(app: FastifyInstance, deps: BackendDeps): void {
  register(app, deps, "listUsers", async ({ organization, params }) => {
    const rows = await listMembers(deps.database, organization.id, params.page);
    return { status: 200, body: rows.map((row) => userView(row, organization)) };
  });

  register(app, deps, "addUser", async ({ organization, body, identity }) => {
    const role = body.role ?? ROLES.user;
    if (!isRole(role) || role < organization.role) throw invalidRole(role);
    const member = {
      uuid: uuidFrom(deps.random(16)),
      email: body.email,
      firstName: body.firstName,
      lastName: body.lastName,
      role,
      adminNoTraining: body.adminNoTraining ?? false,
      assignmentStrategy: body.assignmentStrategy ?? "NONE",
    };
    const actor = actorOf({ email: identity.user.email, token: identity.token });
    const row = await addMember(deps.database, organization.id, member, actor, deps.clock.now());
    const organizationLicenses = await readLicenseCounts(deps.database, organization.id);
    return { status: 201, body: { user: userView(row, organization), organizationLicenses } };
  });
}

/** A version 4 UUID (RFC 9562, section 5.4) from 16 random bytes. */
export function uuidFrom(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function userView(row: MemberDetails, organization: { id: number; name: string }): User {
  const adminNoTraining = row.admin_no_training === 1;
  const joined = row.joined_at === null ? null : new Date(row.joined_at).toISOString();
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
  };
}

function invalidRole(role: number): ProblemError {
  const message = `${role} is not a role that you may give`;
  return new ProblemError("invalid_request", `The request is not valid: role: ${message}`, {
    errors: [{ path: "role", message }],
  });
}
