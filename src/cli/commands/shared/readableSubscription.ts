import type { Client } from "../../../client/client.ts";
import type { Subscription } from "../../../contract/billing.ts";
import { codeOf } from "../../errors.ts";

/** The subscription, or `null` where the token may not see it. */
export async function readableSubscription(
  client: Pick<Client, "subscription">,
  organizationId: number,
): Promise<Subscription | null> {
  try {
    return await client.subscription(organizationId);
  } catch (error) {
    if (codeOf(error) === "insufficient_scope") return null;
    throw error;
  }
}
