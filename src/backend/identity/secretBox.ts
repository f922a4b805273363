import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";

/** Whose a secret is: the number of a user, or the key that signs audit logs. */
type SecretOwner = number | "event key";

/** Encrypts secrets at rest. */
export interface SecretBox {
  /** Encrypts a secret under the newest key. */
  encrypt(owner: SecretOwner, secret: string): string;
  /**
   * Decrypts a secret, under whichever key it was encrypted. A text from before secrets were encrypted is returned as it
   * is.
   *
   * @throws RangeError, which the caller of the API does not see, if its key is missing, or if it was changed or belongs to
   *   another owner
   */
  decrypt(owner: SecretOwner, stored: string): string;
}

/** The prefix of encrypted secrets: `v1.<key ID>.<nonce, ciphertext and tag in base64url>`. */
const VERSION = "v1";

const CIPHER = "aes-256-gcm";

/** NIST SP 800-38D, section 8.2.2: random nonces of 96 bits. */
const NONCE_BYTES = 12;

const TAG_BYTES = 16;

const KEY_BYTES = 32;

const KEY_ID_BYTES = 6;

/**
 * Creates a secret box (AES-256-GCM).
 *
 * @param masterKeys 32 bytes each, the newest first; at least one
 * @param random returns the given number of random bytes
 * @throws RangeError for a key of another length, or none
 */
export function secretBox(masterKeys: readonly Buffer[], random: (bytes: number) => Buffer): SecretBox {
  const keys = masterKeys.map(deriveKey);
  const [newest] = keys;
  if (newest === undefined) throw new RangeError("A key for secrets is required");
  return {
    encrypt(owner, secret) {
      const nonce = random(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, newest.key, nonce).setAAD(boundTo(owner));
      const sealed = Buffer.concat([nonce, cipher.update(secret, "utf8"), cipher.final(), cipher.getAuthTag()]);
      return `${VERSION}.${newest.id}.${sealed.toString("base64url")}`;
    },
    decrypt(owner, stored) {
      if (!stored.startsWith(`${VERSION}.`)) return stored;
      const [, id, text = ""] = stored.split(".");
      const known = keys.find((key) => key.id === id);
      if (!known) throw new RangeError(`Secret of ${nameOf(owner)}: key ${id} not found`);
      return open(known.key, owner, Buffer.from(text, "base64url"));
    },
  };
}

/** Derives the encryption key and its ID from a master key (RFC 5869), so that neither reveals the other. */
function deriveKey(masterKey: Buffer): { readonly id: string; readonly key: Buffer } {
  if (masterKey.length !== KEY_BYTES) {
    throw new RangeError(`A key for secrets must have ${KEY_BYTES} bytes, not ${masterKey.length}`);
  }
  const derive = (purpose: string, bytes: number) =>
    Buffer.from(hkdfSync("sha256", masterKey, "", `secureflag-licenses secrets ${purpose}`, bytes));
  return { id: derive("key ID", KEY_ID_BYTES).toString("base64url"), key: derive("encryption", KEY_BYTES) };
}

/** The additional data, so that one owner's secret cannot be given to another. */
function boundTo(owner: SecretOwner): Buffer {
  return Buffer.from(nameOf(owner));
}

function nameOf(owner: SecretOwner): string {
  return typeof owner === "number" ? `user ${owner}` : owner;
}

function open(key: Buffer, owner: SecretOwner, sealed: Buffer): string {
  const tagAt = sealed.length - TAG_BYTES;
  try {
    const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
      .setAAD(boundTo(owner))
      .setAuthTag(sealed.subarray(tagAt));
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, tagAt)), decipher.final()]).toString("utf8");
  } catch (cause) {
    throw new RangeError(`Secret of ${nameOf(owner)}: cannot be decrypted`, { cause });
  }
}
