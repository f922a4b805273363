import type { Client } from "../../../client/client.ts";
import type { LicenseCounts } from "../../../contract/basics.ts";
import { codeOf } from "../../errors.ts";

/** The license counts, or `null` where the token may not see them. */
export async function readableCounts(
  client: Pick<Client, "subscription">,
  organizationId: number,
): Promise<LicenseCounts | null> {
  try {
    return (await client.subscription(organizationId)).licenses;
  } catch (error) {
    if (codeOf(error) === "insufficient_scope") return null;
    throw error;
  }
}
