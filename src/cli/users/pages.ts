import type { Client } from "../../client/client.ts";
import { emailKey } from "../../contract/email.ts";
import type { User } from "../../contract/users.ts";
import { CliError } from "../errors.ts";

/** More than an organization has; only a list that never ends has so many. */
const MOST_USERS = 100_000;

/** After so many pages in a row with nobody new, a list goes round in circles. */
const MOST_PAGES_WITHOUT_NEWS = 3;

type PagesClient = Pick<Client, "usersPage">;

/**
 * Reads an organization's users from the first page on. A short page does not end the list, an empty one does
 * (product.md). Who is on two pages, because others come and go meanwhile, is there once.
 *
 * @param limit how many at most; `hasMore` says whether there are others
 * @throws CliError `unexpected_answer` where the list goes round in circles; ClientError
 */
export async function readUsers(
  client: PagesClient,
  organizationId: number,
  limit: number,
): Promise<{ users: User[]; hasMore: boolean }> {
  const users = new Map<number, User>();
  let withoutNews = 0;
  for (let page = 0; users.size <= limit; page += 1) {
    const found = await client.usersPage(organizationId, page);
    if (found.length === 0) return { users: [...users.values()], hasMore: false };
    const before = users.size;
    for (const user of found) if (!users.has(user.idUser)) users.set(user.idUser, user);
    withoutNews = users.size > before ? 0 : withoutNews + 1;
    if (withoutNews === MOST_PAGES_WITHOUT_NEWS) throw neverEnds(`page ${page} shows the users of earlier pages again`);
  }
  return { users: [...users.values()].slice(0, limit), hasMore: true };
}

/**
 * Reads all users of an organization.
 *
 * @throws CliError `unexpected_answer` where the list never ends; ClientError
 */
export async function readAllUsers(client: PagesClient, organizationId: number): Promise<User[]> {
  const { users, hasMore } = await readUsers(client, organizationId, MOST_USERS);
  if (hasMore) throw neverEnds(`there are more than ${MOST_USERS.toLocaleString("en-US")}`);
  return users;
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

function neverEnds(why: string): CliError {
  return new CliError("unexpected_answer", `The backend's list of users never ends: ${why}`, {
    hint: "An empty page ends a list of users. Report this to whoever runs the backend.",
  });
}
