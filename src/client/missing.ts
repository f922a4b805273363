import type { Me } from "../contract/identity.ts";
import type { IdentityCalls } from "./identity.ts";

/** Whether a backend answered that it does not have what a call asked for. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && "status" in error && error.status === 404;
}

/** Finds who is signed in; `null` if the backend does not offer that, which is no reason to stop. */
export async function knownMe(client: Pick<IdentityCalls, "me">): Promise<Me | null> {
  return await client.me().catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
}
