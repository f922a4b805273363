import type { Client } from "../../client/client.ts";
import { readPages } from "../../client/pages.ts";
import { emailKey } from "../../contract/email.ts";
import type { User } from "../../contract/users.ts";

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
