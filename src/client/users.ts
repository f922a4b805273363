import type { LicenseCounts } from "../contract/basics.ts";
import type { AddUserAnswer, AddUserRequest, ImportUsersAnswer, User } from "../contract/users.ts";
import type { Caller } from "./call.ts";

/** The calls about users. Every method throws `ClientError`. */
export interface UserCalls {
  /** From page 0; a page may be short, an empty one ends the list. SecureFlag's own backend is understood as well. */
  usersPage(organizationId: number, page: number): Promise<User[]>;
  /**
   * Repeated only while it certainly never left: where the answer is lost, nothing tells a user who was added from one
   * who was there before.
   */
  addUser(organizationId: number, user: AddUserRequest): Promise<AddUserAnswer>;
  /** All or nothing. Repeated only while it certainly never left. */
  importUsers(organizationId: number, users: readonly AddUserRequest[]): Promise<ImportUsersAnswer>;
  /**
   * Removes a user by number; gives the license counts after it. `null` where an answer was lost on the way and the user
   * is not there any more: the try that was lost removed them, or somebody else did.
   */
  removeUser(organizationId: number, idUser: number): Promise<LicenseCounts | null>;
}

/** The calls of `UserCalls` at one backend. */
export function userCalls(caller: Caller): UserCalls {
  return {
    usersPage: async (organizationId, number) =>
      (await caller.call("listUsers", { params: { organizationId, number }, repeat: "transient" })).value,
    addUser: async (organizationId, body) =>
      (await caller.call("addUser", { params: { organizationId }, body, repeat: "unsent" })).value,
    importUsers: async (organizationId, users) =>
      (await caller.call("importUsers", { params: { organizationId }, body: { users }, repeat: "unsent" })).value,
    removeUser: async (organizationId, number) => {
      const params = { organizationId, number };
      return (await caller.remove("removeUser", { params, repeat: "transient" }))?.value.organizationLicenses ?? null;
    },
  };
}
