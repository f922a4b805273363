import { mayBuy } from "../../../billing/roles.ts";
import type { Client } from "../../../client/client.ts";
import { knownMe } from "../../../client/missing.ts";
import type { Me } from "../../../contract/identity.ts";
import { CliError } from "../../errors.ts";

/**
 * Refuses in a dry run what the backend would refuse: adding an administrator with an API token. A backend that does not
 * tell who is signed in is not asked further.
 *
 * @param roles those of the users to add
 * @throws CliError `forbidden`
 */
export async function rehearseRoles(client: Pick<Client, "me">, roles: readonly (number | undefined)[]): Promise<void> {
  if (!roles.some(isAdministrator)) return;
  const me = await knownMe(client);
  if (me) assertMayChange(me, roles);
}

/** @throws CliError `forbidden` for an administrator among the roles where an API token is used */
export function assertMayChange({ token }: Pick<Me, "token">, roles: readonly (number | null | undefined)[]): void {
  if (token.name === null || !roles.some(isAdministrator)) return;
  const message = "An API token cannot add or remove administrators; a signed-in administrator can";
  throw new CliError("forbidden", message);
}

function isAdministrator(role: number | null | undefined): boolean {
  return typeof role === "number" && mayBuy(role);
}
