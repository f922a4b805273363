import { Secret, TOTP } from "otpauth";
import { waitFor } from "./wait.ts";

const STEP_MS = 30_000;
/** How long a busy machine may take from drawing a code to judging it. */
const SLOWEST_MS = 10_000;
const used = new Map<string, Set<number>>();

/** The code of a secret (base32) at an instant, RFC 6238. */
export function codeAt(secret: string, milliseconds: number): string {
  return new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: milliseconds });
}

/**
 * A code that a backend on this machine's clock takes now and that no test of this file has used: each step works once,
 * and the steps beside the present one are taken too (RFC 6238, section 5.2). Waits for the next step where all three
 * are spent.
 */
export async function freshCode(secret: string): Promise<string> {
  const spent = used.get(secret) ?? new Set();
  used.set(secret, spent);
  const step = await waitFor(
    () => {
      const now = Math.floor(Date.now() / STEP_MS);
      // The last step's code ends with the present step, which may be before the backend sees it.
      const isLastSafe = STEP_MS - (Date.now() % STEP_MS) > SLOWEST_MS;
      return [...(isLastSafe ? [now - 1] : []), now, now + 1].find((candidate) => !spent.has(candidate));
    },
    STEP_MS + 5_000,
    "a one-time code that was not used",
  );
  spent.add(step);
  return codeAt(secret, step * STEP_MS);
}
