import { createHash, scrypt, timingSafeEqual } from "node:crypto";
import pLimit from "p-limit";

/** Hashes a token for storage: SHA-256, in hexadecimal. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** Makes a version 4 UUID (RFC 9562, section 5.4) of 16 random bytes. */
export function uuidFrom(bytes: Buffer): string {
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** scrypt's cost (src/backend/README.md, Sign-in): a hash takes about a third of a second and 128 MiB. */
const COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 } as const;

const KEY_BYTES = 32;

const SALT_BYTES = 16;

const MAX_CONCURRENT = 2;

/** The hash of no password, so that an unknown user takes the same time as a known one. */
const NO_USER_HASH = `scrypt$${"A".repeat(22)}$${"A".repeat(43)}`;

/** Hashes and verifies passwords, at most two at a time. */
export interface Passwords {
  /** `scrypt$<salt>$<key>`, both base64url; waits for its turn. */
  hash(password: string): Promise<string>;
  /** Reports whether a password matches; `null` never does, in the same time. Call it within `inTurn`. */
  verify(password: string, hash: string | null): Promise<boolean>;
  /** Runs work on a password once at most one other is running. */
  inTurn<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Returns how many calls wait for their turn. */
  waiting(): number;
}

/**
 * Creates the password hasher.
 *
 * @param random returns the given number of random bytes
 */
export function passwords(random: (bytes: number) => Buffer): Passwords {
  const limit = pLimit(MAX_CONCURRENT);
  return {
    waiting: () => limit.pendingCount,
    inTurn: limit,
    async hash(password) {
      const salt = random(SALT_BYTES);
      const key = await limit(() => deriveKey(password, salt));
      return `scrypt$${salt.toString("base64url")}$${key.toString("base64url")}`;
    },
    async verify(password, hash) {
      const [, salt = "", key = ""] = (hash || NO_USER_HASH).split("$");
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
