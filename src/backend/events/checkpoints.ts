import { createPrivateKey, createPublicKey, type KeyObject, sign } from "node:crypto";
import type { Kysely } from "kysely";
import {
  type Checkpoint,
  canonicalBytes,
  keyIdOf,
  type PublicKey,
  publicKeySchema,
  type SignedCheckpoint,
} from "../../contract/events.ts";
import type { CheckpointRow, Database } from "../database/schema.ts";
import type { BackendDeps } from "../deps.ts";

/** The newest entry of an audit log that has a hash; number 0 before the first one. */
export interface Head {
  readonly number: number;
  readonly hash: string;
}

type SigningDeps = Pick<BackendDeps, "database" | "secrets" | "random" | "clock">;

/** Signs the newest hashed entry of an audit log, and stores the checkpoint. */
export async function signHead(deps: SigningDeps, organizationId: number, head: Head): Promise<SignedCheckpoint> {
  const at = deps.clock.now();
  const key = await signingKey(deps);
  const checkpoint: Checkpoint = { organization: organizationId, ...head, at: new Date(at).toISOString() };
  const signature = sign(null, canonicalBytes(checkpoint), key.privateKey).toString("base64url");
  await deps.database
    .insertInto("checkpoints")
    .values({ organization_id: organizationId, ...head, at, key_id: key.id, signature })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return { checkpoint, kid: key.id, signature };
}

/** Lists checkpoints of an audit log, newest first, before the one of an entry. */
export async function listCheckpoints(
  database: Kysely<Database>,
  organizationId: number,
  { before, limit }: { before: number | null; limit: number },
): Promise<SignedCheckpoint[]> {
  let query = database
    .selectFrom("checkpoints")
    .selectAll()
    .where("organization_id", "=", organizationId)
    .orderBy("number", "desc")
    .limit(limit);
  if (before !== null) query = query.where("number", "<", before);
  return (await query.execute()).map(checkpointOf);
}

function checkpointOf(row: CheckpointRow): SignedCheckpoint {
  const { organization_id: organization, number, hash, at, key_id: kid, signature } = row;
  return { checkpoint: { organization, number, hash, at: new Date(at).toISOString() }, kid, signature };
}

/** Returns the public keys of all checkpoints, newest first. Creates the first key if necessary. */
export async function publicKeys(deps: SigningDeps): Promise<PublicKey[]> {
  await signingKey(deps);
  return (await readKeys(deps.database)).map((row) => {
    const key = publicKeySchema.parse(JSON.parse(row.public_key));
    return { ...key, kid: row.id, alg: "EdDSA", use: "sig" };
  });
}

interface SigningKey {
  readonly id: string;
  readonly privateKey: KeyObject;
}

/**
 * Returns the newest key that can be decrypted, or a new one: after the secret that encrypted it was replaced, a key signs
 * nothing any more, and its public half stays.
 */
async function signingKey(deps: SigningDeps): Promise<SigningKey> {
  for (;;) {
    const keys = await readKeys(deps.database);
    for (const { id, private_key: stored } of keys) {
      const seed = decrypted(deps, stored);
      if (seed !== null) return { id, privateKey: keyFrom(seed) };
    }
    // Of several that are created at once, the first one is used.
    await createKey(deps, (keys[0]?.number ?? 0) + 1);
  }
}

function decrypted({ secrets }: SigningDeps, stored: string): Buffer | null {
  try {
    return Buffer.from(secrets.decrypt("event key", stored), "base64url");
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

async function createKey({ database, secrets, random }: SigningDeps, number: number): Promise<void> {
  const seed = random(SEED_BYTES);
  const publicKey = publicKeySchema.parse(createPublicKey(keyFrom(seed)).export({ format: "jwk" }));
  const sealed = secrets.encrypt("event key", seed.toString("base64url"));
  await database
    .insertInto("event_keys")
    .values({ number, id: keyIdOf(publicKey), public_key: JSON.stringify(publicKey), private_key: sealed })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

const SEED_BYTES = 32;

/** What precedes the seed of an Ed25519 key in PKCS #8 (RFC 8410, section 7). */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

function keyFrom(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: "der", type: "pkcs8" });
}

async function readKeys(database: Kysely<Database>) {
  return database.selectFrom("event_keys").selectAll().orderBy("number", "desc").execute();
}
