import { knownMe } from "../../../client/missing.ts";
import type { Me } from "../../../contract/identity.ts";
import type { Connection } from "./connect.ts";

/** Who a command acts as: the person and the token's name. */
export async function whoBuys(connection: Connection): Promise<string> {
  return buyerName(await knownMe(connection.client), connection);
}

/** A buyer's name, as a person is shown it before they decide. */
export function buyerName(me: Me | null, { signIn }: Pick<Connection, "signIn">): string {
  if (me !== null) return me.token.name === null ? me.user.email : `${me.user.email}, token ${me.token.name}`;
  return signIn.email ?? (signIn.source === "environment" ? "the token in SECUREFLAG_API_TOKEN" : "a token");
}
