import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import canonicalize from "canonicalize";
import * as z from "zod";
import { instantSchema } from "./basics.ts";

const hashSchema = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * An entry of the audit log. Fields that a later version adds are hashed like the others, so they are kept. `hash` is
 * `null` until the entry has its place in the chain, a moment after it was recorded.
 */
export const eventSchema = z.looseObject({
  organizationId: z.int(),
  number: z.int().positive(),
  at: instantSchema,
  type: z.string(),
  actor: z.string(),
  purchaseId: z.string().nullable(),
  data: z.record(z.string(), z.unknown()),
  hash: hashSchema.nullable(),
});

/** An entry of the audit log, parsed. */
export type Event = z.infer<typeof eventSchema>;

/** What is signed: the hash of the newest entry of a log, which depends on every entry before it. */
const checkpointSchema = z.looseObject({
  organization: z.int(),
  number: z.int().nonnegative(),
  hash: hashSchema,
  at: instantSchema,
});

/** A checkpoint, parsed. */
export type Checkpoint = z.infer<typeof checkpointSchema>;

/** A checkpoint with its signature: Ed25519 (RFC 8032) over `canonicalBytes` of it, in base64url. `kid` is `keyIdOf` the key. */
export const signedCheckpointSchema = z.object({
  checkpoint: checkpointSchema,
  kid: z.string(),
  signature: z.string().regex(/^[\w-]{86}$/),
});

/** A signed checkpoint, parsed. */
export type SignedCheckpoint = z.infer<typeof signedCheckpointSchema>;

/** An Ed25519 public key (RFC 8037, section 2). */
export const publicKeySchema = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string().regex(/^[\w-]{43}$/),
  kid: z.string().optional(),
});

/** An Ed25519 public key, parsed. */
export type PublicKey = z.infer<typeof publicKeySchema>;

/** A JWK set (RFC 7517, section 5) with the public keys of a backend. */
export const publicKeysSchema = z.object({ keys: z.array(publicKeySchema) });

/** The media type of an export: a JSON document on each line. */
export const EXPORT_MEDIA_TYPE = "application/x-ndjson";

/** What the first entry of a log has in the place of an earlier hash. */
export const FIRST_HASH = "0".repeat(64);

/** The canonical bytes of a JSON value (RFC 8785), the same whatever wrote it. */
export function canonicalBytes(value: unknown): Buffer {
  return Buffer.from(canonicalize(value) ?? "");
}

/**
 * Computes the hash of an entry of the audit log: SHA-256 over the 32 bytes of the hash before it and the canonical bytes
 * of the entry.
 *
 * @param previous the hash of the entry before it, or `FIRST_HASH`
 * @param event the entry with everything but its `hash`
 * @returns 64 hexadecimal digits
 */
export function eventHash(previous: string, event: object): string {
  return createHash("sha256").update(Buffer.from(previous, "hex")).update(canonicalBytes(event)).digest("hex");
}

/** The ID of a key: its thumbprint (RFC 7638, RFC 8037 appendix A.3), so that an ID belongs to one key alone. */
export function keyIdOf({ crv, kty, x }: PublicKey): string {
  return createHash("sha256").update(canonicalBytes({ crv, kty, x })).digest("base64url");
}

/** Makes a key that can verify from its JWK. */
export function publicKeyOf({ crv, kty, x }: PublicKey): KeyObject {
  return createPublicKey({ key: { crv, kty, x }, format: "jwk" });
}

/** Whether a checkpoint was signed by a key, whose ID it names. */
export function isSignedBy({ checkpoint, kid, signature }: SignedCheckpoint, key: KeyObject): boolean {
  if (keyIdOf(publicKeySchema.parse(key.export({ format: "jwk" }))) !== kid) return false;
  return verify(null, canonicalBytes(checkpoint), key, Buffer.from(signature, "base64url"));
}
