import type { Command } from "commander";
import type { Client } from "../../client/client.ts";
import { readPages } from "../../client/pages.ts";
import { emailKey } from "../../contract/email.ts";
import type { User } from "../../contract/users.ts";
import { connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import {
  addCommand,
  csvOption,
  type GlobalOptions,
  interruptible,
  type Run,
  readCsv,
  readGlobals,
} from "../kit/command.ts";
import { printResult } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { renderUsers, usersCsv } from "./view.ts";

/** What `users list` was told. */
export interface ListUsersOptions extends GlobalOptions {
  readonly all: boolean;
  readonly csv: boolean;
}

/** Registers `users list`. */
export function registerList(group: Command, context: Context, run: Run<ListUsersOptions>): void {
  addCommand(group, {
    name: "list",
    description: "List users, the first 100 unless told otherwise",
    examples: ["users list", "users list --all --csv > users.csv"],
  })
    .option("--all", "every user")
    .addOption(csvOption("print CSV, in the fields of SecureFlag's API"))
    .action((flags: { all?: boolean; csv?: boolean }, command: Command) => {
      const globals = readGlobals(command);
      const options = { ...globals, all: flags.all === true, csv: readCsv(flags, globals) };
      return interruptible(context, () => run(options, context));
    });
}

const DEFAULT_LIMIT = 100;

/** Prints the organization's users in the backend's order, and says on stderr when there are more. */
export async function runList(options: ListUsersOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options, "public");
  const reading = organizationId().then(async (id) =>
    options.all
      ? { users: await readAllUsers(client, id), hasMore: false }
      : await readUsers(client, id, DEFAULT_LIMIT),
  );
  const { users, hasMore } = await withSpinner(context, options, "Reading users", reading);
  await printResult<"users list">(context, options, users, (view) =>
    options.csv ? usersCsv(users) : renderUsers(users, view),
  );
  if (hasMore && !options.quiet) context.io.note(`There are more than ${users.length}: use --all.\n`);
}

type PagesClient = Pick<Client, "usersPage">;

/**
 * Reads an organization's users from the first page on. A short page does not end the list, an empty one does
 * (product.md). Who is on two pages, because others come and go meanwhile, is there once.
 *
 * @param limit how many at most; `hasMore` says whether there are others
 * @throws ClientError, `unexpected_answer` where the list never ends
 */
export async function readUsers(
  client: PagesClient,
  organizationId: number,
  limit: number,
): Promise<{ users: User[]; hasMore: boolean }> {
  const { items } = await readPages({
    name: "users",
    read: async (page: number | null) => {
      const found = await client.usersPage(organizationId, page ?? 0);
      return { items: found, next: found.length === 0 ? null : (page ?? 0) + 1 };
    },
    keyOf: ({ idUser }) => idUser,
    // Only one more says that there are others.
    limit: limit + 1,
  });
  return { users: items.slice(0, limit), hasMore: items.length > limit };
}

/**
 * Reads all users of an organization.
 *
 * @throws ClientError, `unexpected_answer` where the list never ends
 */
export async function readAllUsers(client: PagesClient, organizationId: number): Promise<User[]> {
  return (await readUsers(client, organizationId, Number.POSITIVE_INFINITY)).users;
}

/** The users with an email, however it is written; where several have it, those who have it as it is written. */
export function withEmail(users: readonly User[], email: string): User[] {
  const key = emailKey(email);
  const found = users.filter((user) => isMember(user) && user.email !== null && emailKey(user.email) === key);
  const alike = found.filter((user) => user.email?.toLowerCase() === email.toLowerCase());
  return alike.length > 0 ? alike : found;
}

/** Whether a user belongs to the organization still: SecureFlag's own list may hold those who do not any more. */
export function isMember({ status }: Pick<User, "status">): boolean {
  return status !== "REMOVED";
}
