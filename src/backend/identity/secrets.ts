import { createHash, scrypt, timingSafeEqual } from "node:crypto";
import { Secret, TOTP } from "otpauth";
import pLimit from "p-limit";
import type { UserRow } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";
import { ProblemError } from "../errors.ts";
import { forgetAttempts, noteAttempt, type Place, spendCode, takeBackAttempt } from "./sessions.ts";

/** What is kept of a token: its SHA-256, in hexadecimal (security.md, Signing in). */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** A version 4 UUID (RFC 9562, section 5.4) from 16 random bytes. */
export function uuidFrom(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** scrypt's cost (security.md, Signing in); one hash takes about a third of a second and 128 MiB. */
const COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 } as const;

const KEY_BYTES = 32;

const SALT_BYTES = 16;

const AT_ONCE = 2;

/** A hash of no password at all, so that an unknown user costs the same time as a known one. */
const NOBODY = `scrypt$${"A".repeat(22)}$${"A".repeat(43)}`;

/** Hashes and checks passwords, at most two at a time. */
export interface Passwords {
  /** `scrypt$<salt>$<key>`, both base64url; waits for its turn. */
  hash(password: string): Promise<string>;
  /** Whether the password fits; `null` (nobody) takes the same time and never does. Only called `inTurn`. */
  verify(password: string, hash: string | null): Promise<boolean>;
  /** Does work at a password when at most one other is worked at. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>;
  /** How many wait for their turn. */
  waiting(): number;
}

/** @param random gives so many random bytes */
export function passwords(random: (bytes: number) => Buffer): Passwords {
  const limit = pLimit(AT_ONCE);
  return {
    waiting: () => limit.pendingCount,
    inTurn: limit,
    async hash(password) {
      const salt = random(SALT_BYTES);
      const key = await limit(() => deriveKey(password, salt));
      return `scrypt$${salt.toString("base64url")}$${key.toString("base64url")}`;
    },
    async verify(password, hash) {
      const [, salt = "", key = ""] = (hash || NOBODY).split("$");
      const derived = await deriveKey(password, Buffer.from(salt, "base64url"));
      const expected = Buffer.from(key, "base64url");
      return Boolean(hash) && expected.length === derived.length && timingSafeEqual(derived, expected);
    },
  };
}

function deriveKey(password: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFC"), salt, KEY_BYTES, COST, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

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

const WINDOW_MS = 15 * 60_000;

const OF_ACCOUNT = 5;

const FROM_ADDRESS = 50;

/**
 * Judges an attempt to guess a secret under the lock of security.md, Signing in: after 5 failures of an account from one
 * address, or 50 from the address, within 15 minutes, whatever is tried is refused. An attempt is counted before it is
 * judged, so that guesses at the same time count one another, and taken back unless it was judged and wrong.
 *
 * @param judge gives what was proved, or `null`; it is called in any case, so that a lock does not show in the time
 * @returns what was proved; `null` for a wrong attempt and for any while it is locked
 */
export async function attempt<Proof>(
  deps: Pick<BackendDeps, "database" | "now" | "random">,
  place: Place,
  judge: (isLocked: boolean) => Promise<Proof | null>,
): Promise<Proof | null> {
  const id = deps.random(12).toString("hex");
  const now = deps.now();
  const others = await noteAttempt(deps.database, { ...place, id, at: now }, now - WINDOW_MS);
  const isLocked = others.account >= OF_ACCOUNT || others.address >= FROM_ADDRESS;
  if (isLocked) await takeBackAttempt(deps.database, id);
  const proof = await judge(isLocked);
  if (isLocked || proof === null) return null;
  await takeBackAttempt(deps.database, id);
  return proof;
}
