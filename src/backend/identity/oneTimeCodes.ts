import { Secret, TOTP } from "otpauth";
import type { UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";
import { attempt, forgetAttempts, spendCode } from "./sessions.ts";

/** RFC 6238 with its usual parameters: SHA-1, 6 digits, 30 seconds, and a step of drift either way. */
const PARAMETERS = { algorithm: "SHA1", digits: 6, period: 30 } as const;

const DRIFT_STEPS = 1;

/** How many steps a spent code is remembered: an hour, should the machine's clock be set back. */
const REMEMBERED_STEPS = 120;

/**
 * Takes a one-time code of a user. Each step's works once, and wrong ones count like wrong passwords (security.md,
 * Signing in).
 *
 * @param code as it was typed; white space is left out
 * @param address where the request came from
 * @returns when the code was given, machine milliseconds
 * @throws ProblemError `mfa_invalid`, in the same words for a wrong code, a used one, and any while sign-in is locked
 */
export async function acceptCode(
  deps: Pick<BackendDeps, "database" | "now" | "random">,
  user: UserRow,
  code: string,
  address: string,
): Promise<number> {
  const now = deps.now();
  const place = { account: user.email_key, address };
  const accepted = await attempt(deps, place, async (isLocked) => {
    const step = stepOf(user.totp_secret, code.replace(/\s/g, ""), now);
    if (step === null || isLocked) return null;
    return (await spendCode(deps.database, { userId: user.id, step }, step - REMEMBERED_STEPS)) || null;
  });
  if (accepted === null) {
    throw new ProblemError(
      "mfa_invalid",
      "The one-time code is not right or was used already, or sign-in is paused for 15 minutes after repeated failures",
    );
  }
  await forgetAttempts(deps.database, place);
  return now;
}

/** The time step that a code belongs to, among those around now; compared in constant time. */
function stepOf(secret: string | null, code: string, now: number): number | null {
  if (secret === null || !/^[0-9]{6}$/.test(code)) return null;
  const given = { ...PARAMETERS, secret: Secret.fromBase32(secret), token: code, timestamp: now, window: DRIFT_STEPS };
  const drift = TOTP.validate(given);
  return drift === null ? null : TOTP.counter({ period: PARAMETERS.period, timestamp: now }) + drift;
}
