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

/** Options of `users list`. */
export interface ListUsersOptions extends GlobalOptions {
  readonly all: boolean;
  readonly csv: boolean;
}

/** Registers `users list`. */
export function registerList(group: Command, context: Context, run: Run<ListUsersOptions>): void {
  addCommand(group, {
    name: "list",
    description: "List users (by default the first 100)",
    examples: ["users list", "users list --all --csv > users.csv"],
  })
    .option("--all", "list every user")
    .addOption(csvOption("print CSV, with the fields of SecureFlag's API"))
    .action((flags: { all?: boolean; csv?: boolean }, command: Command) => {
      const globals = readGlobals(command);
      const options = { ...globals, all: flags.all === true, csv: readCsv(flags, globals) };
      return interruptible(context, () => run(options, context));
    });
}

const DEFAULT_LIMIT = 100;

/** Prints the organization's users in the backend's order, and notes on stderr if there are more. */
export async function runList(options: ListUsersOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options, "public");
  const reading = organizationId().then(async (id) =>
    options.all
      ? { users: await readAllUsers(client, id), hasMore: false }
      : await readUsers(client, id, DEFAULT_LIMIT),
  );
  const { users, hasMore } = await withSpinner(context, options, "Reading users", reading);
  await printResult<"users list">(context, options, users, (view) =>
    options.csv ? usersCsv(users) : renderUsers(users, view, hasMore),
  );
  if (hasMore && !options.quiet)
    context.io.note(`There are more than ${users.length} users. Pass --all to list every one.\n`);
}

type PagesClient = Pick<Client, "usersPage">;

/**
 * Reads an organization's users from the first page on. An empty page ends the list, a short one does not
 * (src/contract/README.md, Users). A user who moved to another page while they were read is returned once.
 *
 * @param limit maximum number of users; `hasMore` reports whether there are others
 * @throws ClientError `unexpected_answer` if the list never ends
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
    // One more tells whether there are others.
    limit: limit + 1,
  });
  return { users: items.slice(0, limit), hasMore: items.length > limit };
}

/**
 * Reads all users of an organization.
 *
 * @throws ClientError `unexpected_answer` if the list never ends
 */
export async function readAllUsers(client: PagesClient, organizationId: number): Promise<User[]> {
  return (await readUsers(client, organizationId, Number.POSITIVE_INFINITY)).users;
}

/** Finds the users with an email in any spelling; if there are several, those with exactly this spelling. */
export function withEmail(users: readonly User[], email: string): User[] {
  const key = emailKey(email);
  const found = users.filter((user) => isMember(user) && user.email !== null && emailKey(user.email) === key);
  const alike = found.filter((user) => user.email?.toLowerCase() === email.toLowerCase());
  return alike.length > 0 ? alike : found;
}

/** Reports whether a user still belongs to the organization: SecureFlag's own list may contain removed users. */
export function isMember({ status }: Pick<User, "status">): boolean {
  return status !== "REMOVED";
}
