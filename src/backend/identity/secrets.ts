import { createHash, scrypt, timingSafeEqual } from "node:crypto";
import pLimit from "p-limit";

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
