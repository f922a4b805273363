import { Argument, type Command, Option } from "commander";
import type { Client } from "../../client/client.ts";
import { readPages } from "../../client/pages.ts";
import { emailKey } from "../../contract/email.ts";
import type { User } from "../../contract/users.ts";
import { connect } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
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
import { shorten } from "../kit/text.ts";
import { trimmedText, wholeNumber } from "../kit/values.ts";
import { renderUsers, usersCsv } from "./view.ts";

/** Options of `users list`. */
export interface ListUsersOptions extends GlobalOptions {
  /** The maximum number of users; `null` for the default. */
  readonly limit: number | null;
  readonly all: boolean;
  readonly csv: boolean;
  /** Part of a name or an email; `null` for everyone. */
  readonly text: string | null;
}

/** Registers `users list`. */
export function registerList(group: Command, context: Context, run: Run<ListUsersOptions>): void {
  addCommand(group, {
    name: "list",
    description: "List users, or find them by name or email",
    examples: ["users list lovelace", "users list --all --csv > users.csv"],
  })
    .addArgument(new Argument("[text]", "part of a name or email address").argParser(trimmedText))
    .addOption(
      new Option("--limit <n>", "maximum number of users (default: 100)").argParser(wholeNumber(1)).conflicts("all"),
    )
    .option("--all", "list every user")
    .addOption(csvOption("print CSV, with the fields of SecureFlag's API"))
    .action((text: string | undefined, flags: { limit?: number; all?: boolean; csv?: boolean }, command: Command) => {
      const globals = readGlobals(command);
      const { limit = null, all = false } = flags;
      const options = { ...globals, text: text ?? null, limit, all, csv: readCsv(flags, globals) };
      return interruptible(context, () => run(options, context));
    });
}

const DEFAULT_LIMIT = 100;

/** Prints the organization's users in the backend's order, and notes on stderr if there are more. */
export async function runList(options: ListUsersOptions, context: Context): Promise<void> {
  const { client, organizationId } = await connect(context, options, "public");
  const limit = options.all ? Number.POSITIVE_INFINITY : (options.limit ?? DEFAULT_LIMIT);
  const isWanted = options.text === null ? () => true : matcher(options.text);
  const reading = organizationId().then((id) => readUsers(client, id, limit, isWanted));
  const { users, hasMore } = await withSpinner(context, options, "Reading users", reading);
  await printResult<"users list">(context, options, users, (view) =>
    options.csv ? usersCsv(users) : renderUsers(users, view, hasMore),
  );
  if (hasMore && !options.quiet)
    context.io.note(
      `There are more than ${users.length} ${options.text === null ? "" : "such "}users. Pass --limit <n> or --all to see more.\n`,
    );
}

/** Finds a text in names and emails, in any case and with or without accents. */
function matcher(text: string): (user: User) => boolean {
  const wanted = folded(text);
  return ({ firstName, lastName, email, username }) =>
    [`${firstName ?? ""} ${lastName ?? ""}`, email ?? "", username ?? ""].some((own) => folded(own).includes(wanted));
}

function folded(text: string): string {
  return text.normalize("NFKD").replaceAll(/\p{M}/gu, "").replaceAll(/\s+/g, " ").toLowerCase();
}

type PagesClient = Pick<Client, "usersPage">;

/**
 * Reads an organization's users from the first page on. An empty page ends the list, a short one does not
 * (src/contract/README.md, Users). A user who moved to another page while they were read is returned once.
 *
 * @param limit maximum number of users; `hasMore` reports whether there are others
 * @param isWanted chooses users
 * @throws ClientError `unexpected_answer` if the list never ends
 */
export async function readUsers(
  client: PagesClient,
  organizationId: number,
  limit: number,
  isWanted: (user: User) => boolean = () => true,
): Promise<{ users: User[]; hasMore: boolean }> {
  const { items } = await readPages({
    name: "users",
    read: async (page: number | null) => {
      const found = await client.usersPage(organizationId, page ?? 0);
      return { items: found.filter(isWanted), next: found.length === 0 ? null : (page ?? 0) + 1 };
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

/**
 * Finds the one user with an email, in any spelling.
 *
 * @throws CliError `not_found`; `invalid_usage` for an email that two users have
 */
export function findUser(users: readonly User[], email: string): User {
  const [user, another] = withEmail(users, email);
  if (!user) {
    const message = `User not found: ${shorten(email)}`;
    throw new CliError("not_found", message, { hint: "See `secureflag-licenses users list --all`." });
  }
  if (!another) return user;
  throw usageError(
    `Several users have the email ${shorten(email)}, for example ${user.idUser} and ${another.idUser}`,
    "Nothing was changed. Contact the operator of the backend.",
  );
}

/** Reports whether a user still belongs to the organization: SecureFlag's own list may contain removed users. */
export function isMember({ status }: Pick<User, "status">): boolean {
  return status !== "REMOVED";
}
