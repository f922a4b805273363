import { Secret, TOTP } from "otpauth";
import { waitFor } from "./wait.ts";

const STEP_MS = 30_000;
/** How long a busy machine can take from generating a code to checking it. */
const SLOWEST_MS = 10_000;
const used = new Map<string, Set<number>>();

/** Generates the code of a base32 secret at an instant (RFC 6238). */
export function codeAt(secret: string, milliseconds: number): string {
  return new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: milliseconds });
}

/**
 * Returns a code that is valid now and that no test of this file has used. Each step works once, and the steps next to the
 * current one are valid too (src/backend/README.md, Sign-in). Waits for the next step if all three are used.
 */
export async function freshCode(secret: string): Promise<string> {
  const spent = used.get(secret) ?? new Set();
  used.set(secret, spent);
  const step = await waitFor(
    () => {
      const now = Math.floor(Date.now() / STEP_MS);
      // The code of the previous step expires with the current step, maybe before the backend checks it.
      const isLastSafe = STEP_MS - (Date.now() % STEP_MS) > SLOWEST_MS;
      return [...(isLastSafe ? [now - 1] : []), now, now + 1].find((candidate) => !spent.has(candidate));
    },
    STEP_MS + 5_000,
    "a one-time code that was not used",
  );
  spent.add(step);
  return codeAt(secret, step * STEP_MS);
}
