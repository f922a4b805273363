import type { AssignmentStrategy } from "../contract/constants.ts";
import type {
  AddUserAnswer,
  AddUserRequest,
  ImportUsersAnswer,
  RemoveUserAnswer,
  SyncUsersAnswer,
  SyncUsersRequest,
  UpdateUserAnswer,
  User,
} from "../contract/users.ts";
import type { Caller, CallInput } from "./call.ts";

/** The calls about users. Every method throws `ClientError`. */
export interface UserCalls {
  /** From page 0; a page may be short, an empty one ends the list. SecureFlag's own backend is understood as well. */
  usersPage(organizationId: number, page: number): Promise<User[]>;
  /**
   * Repeated only while it certainly never left: after a lost answer, which is `outcome_unknown`, a user who was
   * added looks like one who was there before.
   */
  addUser(organizationId: number, user: AddUserRequest): Promise<AddUserAnswer>;
  /** All or nothing. Repeated only while it certainly never left, and `outcome_unknown` where the answer is lost. */
  importUsers(organizationId: number, users: readonly AddUserRequest[]): Promise<ImportUsersAnswer>;
  /** Changes a role, by number. `outcome_unknown` where an answer was lost and no refusal came after it. */
  updateUser(organizationId: number, idUser: number, role: number): Promise<UpdateUserAnswer>;
  /** Plans; with the `plan` of an earlier answer, applies, as `importUsers`. */
  syncUsers(organizationId: number, list: SyncUsersRequest): Promise<SyncUsersAnswer>;
  /**
   * Removes a user by number; gives the license counts after it, and the change that waits instead. `null` where an answer
   * was lost on the way and the user is not there any more: the try that was lost removed them, or another command did.
   * `outcome_unknown` where one was lost and neither that nor a refusal came after it.
   */
  removeUser(organizationId: number, idUser: number): Promise<RemoveUserAnswer | null>;
  /** What the organization assigns to everybody who is added. */
  assignmentStrategy(organizationId: number): Promise<AssignmentStrategy>;
  /** Setting it again changes nothing. `outcome_unknown` where an answer was lost and no refusal came after it. */
  setAssignmentStrategy(organizationId: number, strategy: AssignmentStrategy): Promise<AssignmentStrategy>;
}

const ADDED_HINT = "Running the same command again is safe: it names those who are users already.";
const SYNCED_HINT = "Running the same command again is safe: it changes only what is not as in the file yet.";
const SET_HINT = "See `secureflag-licenses organizations assignment-strategy`. Running the same command again is safe.";
const LIST_HINT = "See `secureflag-licenses users list --all`. Running the same command again is safe.";

/** The calls of `UserCalls` at one backend. */
export function userCalls(caller: Caller): UserCalls {
  return {
    usersPage: async (organizationId, number) =>
      (await caller.call("listUsers", { params: { organizationId, number }, repeat: "transient" })).value,
    addUser: async (organizationId, body) =>
      (await caller.change("addUser", { params: { organizationId }, body, repeat: "unsent" }, ADDED_HINT)).value,
    importUsers: async (organizationId, users) => {
      const input: CallInput = { params: { organizationId }, body: { users }, repeat: "unsent" };
      return (await caller.change("importUsers", input, ADDED_HINT)).value;
    },
    updateUser: async (organizationId, number, role) => {
      const input: CallInput = { params: { organizationId, number }, body: { role }, repeat: "transient" };
      return (await caller.change("updateUser", input, LIST_HINT)).value;
    },
    syncUsers: async (organizationId, body) => {
      const params = { organizationId };
      if (body.plan === undefined) return (await caller.call("syncUsers", { params, body, repeat: "transient" })).value;
      return (await caller.change("syncUsers", { params, body, repeat: "unsent" }, SYNCED_HINT)).value;
    },
    removeUser: async (organizationId, number) => {
      const params = { organizationId, number };
      const reply = await caller.remove("removeUser", { params, repeat: "transient" }, LIST_HINT);
      return reply?.value ?? null;
    },
    assignmentStrategy: async (organizationId) =>
      (await caller.call("getAssignmentStrategy", { params: { organizationId }, repeat: "transient" })).value
        .assignmentStrategy,
    setAssignmentStrategy: async (organizationId, assignmentStrategy) => {
      const input: CallInput = { params: { organizationId }, body: { assignmentStrategy }, repeat: "transient" };
      return (await caller.change("setAssignmentStrategy", input, SET_HINT)).value.assignmentStrategy;
    },
  };
}
