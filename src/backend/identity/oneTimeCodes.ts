import { Secret, TOTP } from "otpauth";
import type { UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { BackendError } from "../errors.ts";
import { recordFailure } from "./failures.ts";
import { attempt, forgetAttempts, spendCode } from "./sessions.ts";

/** The usual parameters of RFC 6238. */
const PARAMETERS = { algorithm: "SHA1", digits: 6, period: 30 } as const;

const DRIFT_STEPS = 1;

/** How many steps a used code is remembered: an hour, in case the machine's clock is set back. */
const REMEMBERED_STEPS = 120;

/**
 * Accepts a one-time code of a user. Each time step works once, and wrong codes count like wrong passwords
 * (src/backend/README.md, Sign-in).
 *
 * @param code as typed; white space is ignored
 * @param address the network address of the request
 * @returns when the code was given, machine milliseconds
 * @throws BackendError `mfa_invalid`, with one message for a wrong code, a used one, and any code while sign-in is locked
 */
export async function acceptCode(
  deps: Pick<BackendDeps, "database" | "now" | "clock" | "random" | "secrets" | "log">,
  user: UserRow,
  code: string,
  address: string,
): Promise<number> {
  const now = deps.now();
  const { id, totp_secret: stored } = user;
  const secret = stored === null ? null : deps.secrets.decrypt(id, stored);
  const place = { account: user.email_key, address };
  const accepted = await attempt(deps, place, async (isLocked) => {
    const step = stepOf(secret, code.replace(/\s/g, ""), now);
    if (step === null || isLocked) return null;
    return (await spendCode(deps.database, { userId: id, step })) || null;
  });
  if (accepted === null) {
    recordFailure(deps, user);
    throw new BackendError(
      "mfa_invalid",
      "The one-time code is wrong or was already used, or sign-in is locked for 15 minutes after repeated failures",
    );
  }
  await forgetAttempts(deps.database, place);
  return now;
}

/** Returns the oldest time step whose used codes are still remembered; `now` in machine milliseconds. */
export function oldestUsedStep(now: number): number {
  return TOTP.counter({ period: PARAMETERS.period, timestamp: now }) - REMEMBERED_STEPS;
}

/** Returns the time step of a code, among those around now; compares in constant time. */
function stepOf(secret: string | null, code: string, now: number): number | null {
  if (secret === null || !/^[0-9]{6}$/.test(code)) return null;
  const given = { ...PARAMETERS, secret: Secret.fromBase32(secret), token: code, timestamp: now, window: DRIFT_STEPS };
  const drift = TOTP.validate(given);
  return drift === null ? null : TOTP.counter({ period: PARAMETERS.period, timestamp: now }) + drift;
}

/** Whether a code is one that a secret, which no user has yet, gives around an instant of the machine's clock. */
export function isCodeOf(secret: string, code: string, now: number): boolean {
  return stepOf(secret, code.replace(/\s/g, ""), now) !== null;
}
