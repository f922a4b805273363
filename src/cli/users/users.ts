import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand, type Run } from "../kit/command.ts";
import { type AddUserOptions, registerAdd, runAdd } from "./add.ts";
import { type IdleUsersOptions, registerIdle, runIdle } from "./idle.ts";
import { type ImportUsersOptions, registerImport, runImport } from "./import.ts";
import { type ListUsersOptions, registerList, runList } from "./list.ts";
import { type RemoveUserOptions, registerRemove, runRemove } from "./remove.ts";
import { registerSync, runSync, type SyncUsersOptions } from "./sync.ts";
import { registerUpdate, runUpdate, type UpdateUserOptions } from "./update.ts";

/** The functions that run the commands of the group. */
export interface UsersRuns {
  readonly list: Run<ListUsersOptions>;
  readonly add: Run<AddUserOptions>;
  readonly import: Run<ImportUsersOptions>;
  readonly update: Run<UpdateUserOptions>;
  readonly remove: Run<RemoveUserOptions>;
  readonly sync: Run<SyncUsersOptions>;
  readonly idle: Run<IdleUsersOptions>;
}

/** Registers `users list | add | import | update | remove | sync | idle`. */
export function register(program: Command, context: Context, runs: UsersRuns = RUNS): void {
  const group = addCommand(program, {
    name: "users",
    examples: ["users list", "users sync users.csv --dry-run"],
  });
  registerList(group, context, runs.list);
  registerAdd(group, context, runs.add);
  registerImport(group, context, runs.import);
  registerUpdate(group, context, runs.update);
  registerRemove(group, context, runs.remove);
  registerSync(group, context, runs.sync);
  registerIdle(group, context, runs.idle);
}

const RUNS: UsersRuns = {
  list: runList,
  add: runAdd,
  import: runImport,
  update: runUpdate,
  remove: runRemove,
  sync: runSync,
  idle: runIdle,
};
