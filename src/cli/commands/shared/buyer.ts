import { isMissing } from "../../../client/missing.ts";
import type { Connection } from "./connect.ts";

/** Who a command acts as: the person and the token's name. A backend that does not tell is no reason to stop. */
export async function whoBuys({ client, signIn }: Connection): Promise<string> {
  try {
    const { user, token } = await client.me();
    return token.name === null ? user.email : `${user.email}, token ${token.name}`;
  } catch (error) {
    if (!isMissing(error)) throw error;
    return signIn.email ?? (signIn.source === "environment" ? "the token in SECUREFLAG_API_TOKEN" : "a token");
  }
}
