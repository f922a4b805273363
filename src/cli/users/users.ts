import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand, type Run } from "../kit/command.ts";
import { type AddUserOptions, registerAdd, runAdd } from "./add.ts";
import { type ImportUsersOptions, registerImport, runImport } from "./import.ts";
import { type ListUsersOptions, registerList, runList } from "./list.ts";
import { type RemoveUserOptions, registerRemove, runRemove } from "./remove.ts";

/** The functions that run the commands of the group. */
export interface UsersRuns {
  readonly list: Run<ListUsersOptions>;
  readonly add: Run<AddUserOptions>;
  readonly import: Run<ImportUsersOptions>;
  readonly remove: Run<RemoveUserOptions>;
}

/** Registers `users list | add | import | remove`. */
export function register(program: Command, context: Context, runs: UsersRuns = RUNS): void {
  const group = addCommand(program, {
    name: "users",
    examples: ["users list", "users import users.csv --dry-run"],
  });
  registerList(group, context, runs.list);
  registerAdd(group, context, runs.add);
  registerImport(group, context, runs.import);
  registerRemove(group, context, runs.remove);
}

const RUNS: UsersRuns = { list: runList, add: runAdd, import: runImport, remove: runRemove };
