import { Argument, type Command } from "commander";
import { ROLES, takesLicense } from "../../billing/roles.ts";
import { emailKey } from "../../contract/email.ts";
import type { AddUserRequest } from "../../contract/users.ts";
import { type Buying, connectBuying } from "../buying/buying.ts";
import { addBuyMissingOptions, type BuyMissingOptions } from "../buying/options.ts";
import type { Context } from "../context.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult } from "../kit/output.ts";
import { someText } from "../kit/values.ts";
import type { Output } from "../outputs.ts";
import {
  addingOutput,
  addWithLicenses,
  concludeAdding,
  type MissingFlags,
  noteStrategy,
  readMissing,
} from "./adding.ts";
import { ADDED } from "./csvUsers.ts";
import { isMember, readAllUsers } from "./list.ts";
import { rehearseLicenses, rehearseRoles } from "./shortage.ts";
import { addingWords, checkedCsv, withLines } from "./usersFile.ts";
import { renderImportedUsers } from "./view.ts";

/** Options of `users import`. */
export interface ImportUsersOptions extends BuyMissingOptions {
  /** A path, or `-` for stdin. */
  readonly file: string;
}

const CSV_HELP = `
The first row names the columns, in any order: email,
firstName, lastName, and optionally role and
adminNoTraining. All users are added or none; users who
already exist are left alone.`;

/** Registers `users import`. */
export function registerImport(group: Command, context: Context, run: Run<ImportUsersOptions>): void {
  const command = addCommand(group, {
    name: "import",
    description: "Add the users of a CSV file, all or none",
    examples: ["users import users.csv --dry-run", "users import users.csv --buy-missing --max-total 500"],
  }).addArgument(new Argument("<csv>", "file to import; - for stdin").argParser(someText));
  addBuyMissingOptions(command)
    .addHelpText("after", CSV_HELP)
    .action((file: string, flags: MissingFlags, command: Command) => {
      const options = { ...readGlobals(command), ...readMissing(flags), file };
      return interruptible(context, () => run(options, context));
    });
}

/** The users of a file, divided into those that were added and those that already existed. */
interface Divided {
  readonly added: readonly AddUserRequest[];
  readonly existing: readonly AddUserRequest[];
}

/**
 * Adds the users of a CSV file, all or none, and prints who was added and who already existed.
 *
 * @throws CliError `users_file_invalid` with every problem of the file, before any request; otherwise as `users add`
 */
export async function runImport(options: ImportUsersOptions, context: Context): Promise<void> {
  const csv = await checkedCsv(options, context, ADDED);
  const { users } = csv;
  const buying = await connectBuying(options, context, "users");
  if (options.dryRun) {
    await print(await rehearse(users, options, context, buying), options, context);
    return;
  }
  const { connection, tools } = buying;
  const importing = async () => {
    const answer = connection.client.importUsers(tools.organizationId, users);
    const { existing, ...state } = await tools.busy(addingWords(users.length), answer).catch((error) => {
      throw withLines(error, csv);
    });
    const positions = new Set(existing);
    return { ...divide(users, (_, index) => positions.has(index)), ...state };
  };
  const ended = await addWithLicenses(importing, ({ added }) => licensesOf(added), options, context, buying);
  const output = { ...emailsOf(ended.answer ?? { added: [], existing: [] }), ...addingOutput(ended) };
  await concludeAdding(ended, buying, options, context, () => print(output, options, context));
  if (output.added.length > 0) noteStrategy(context, options, output);
}

async function rehearse(
  users: readonly AddUserRequest[],
  options: ImportUsersOptions,
  context: Context,
  buying: Buying,
): Promise<Output<"users import">> {
  const { connection, tools } = buying;
  const listed = await tools.busy("Reading users", readAllUsers(connection.client, tools.organizationId));
  await rehearseRoles(
    connection.client,
    users.map(({ role }) => role),
  );
  const known = new Set(listed.filter(isMember).flatMap(({ email }) => (email === null ? [] : [emailKey(email)])));
  const divided = divide(users, ({ email }) => known.has(emailKey(email)));
  const { licenses, quote } = await rehearseLicenses(licensesOf(divided.added), options, context, buying);
  return { ...emailsOf(divided), purchase: null, licenses, dryRun: true, ...(quote && { quote }) };
}

function divide(users: readonly AddUserRequest[], isThere: (user: AddUserRequest, index: number) => boolean): Divided {
  const existing = new Set(users.filter(isThere));
  return { added: users.filter((user) => !existing.has(user)), existing: [...existing] };
}

function emailsOf({ added, existing }: Divided): { added: string[]; existing: string[] } {
  return { added: added.map(({ email }) => email), existing: existing.map(({ email }) => email) };
}

function licensesOf(users: readonly AddUserRequest[]): number {
  return users.filter(({ role = ROLES.user, adminNoTraining = false }) => takesLicense({ role, adminNoTraining }))
    .length;
}

function print(output: Output<"users import">, options: ImportUsersOptions, context: Context): Promise<boolean> {
  return printResult<"users import">(context, options, output, (view) => renderImportedUsers(output, view));
}
