import { scrypt, timingSafeEqual } from "node:crypto";
import pLimit from "p-limit";

/** scrypt's cost (security.md, Signing in); one hash takes about a third of a second and 128 MiB. */
const COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 } as const;
const KEY_BYTES = 32;
const SALT_BYTES = 16;
const AT_ONCE = 2;

/** A hash of no password at all, so that an unknown user costs the same time as a known one. */
const NOBODY = `scrypt$${"A".repeat(22)}$${"A".repeat(43)}`;

/** Hashes and checks passwords, at most two at a time. */
export interface Passwords {
  /** `scrypt$<salt>$<key>`, both base64url. */
  hash(password: string): Promise<string>;
  /** Whether the password fits; `null` (nobody) takes the same time and never does. */
  verify(password: string, hash: string | null): Promise<boolean>;
  /** How many calls wait for their turn. */
  waiting(): number;
}

/** @param random gives so many random bytes */
export function passwords(random: (bytes: number) => Buffer): Passwords {
  const limit = pLimit(AT_ONCE);
  const derive = (password: string, salt: Buffer) => limit(() => deriveKey(password, salt));
  return {
    waiting: () => limit.pendingCount,
    async hash(password) {
      const salt = random(SALT_BYTES);
      const key = await derive(password, salt);
      return `scrypt$${salt.toString("base64url")}$${key.toString("base64url")}`;
    },
    async verify(password, hash) {
      const [, salt = "", key = ""] = (hash || NOBODY).split("$");
      const derived = await derive(password, Buffer.from(salt, "base64url"));
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
