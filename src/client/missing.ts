import type { Me } from "../contract/identity.ts";
import type { IdentityCalls } from "./identity.ts";
/** Whether a backend said that it does not have what a call asked for, in whatever words. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && "status" in error && error.status === 404;
}

/** Who is signed in; `null` where the backend does not tell, which is no reason to stop. */
export async function knownMe(client: Pick<IdentityCalls, "me">): Promise<Me | null> {
  return await client.me().catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
}
