import type { Kysely } from "kysely";
import type { Passwords } from "../auth/passwords.ts";
import { savePasswordHash } from "../store/identities.ts";
import type { Database, UserRow } from "../store/schema.ts";
import { usersWithoutPassword } from "../store/seeding.ts";
import type { Seed } from "./seedSchema.ts";

/** The passwords of a seed, hashed in the background; a sign-in that comes first waits for its own (details.md, 29). */
export interface SeedPasswords {
  /** The hash of a user's password, `null` where there is none. */
  hashOf(user: UserRow): Promise<string | null>;
  /** Resolves when all of them are kept. */
  done: Promise<void>;
}

/** @param known hashes that need no work, by password */
export async function hashSeedPasswords(
  database: Kysely<Database>,
  passwords: Passwords,
  seed: Seed | null,
  known: Readonly<Record<string, string>>,
): Promise<SeedPasswords> {
  const wanted = new Map(
    (seed?.organizations ?? []).flatMap(({ users }) => users.map((user) => [user.email.toLowerCase(), user.password])),
  );
  const pending = new Map<string, Promise<string>>();
  const missing = wanted.size === 0 ? [] : await usersWithoutPassword(database, [...wanted.keys()]);
  for (const { id, email_key } of missing) {
    const password = wanted.get(email_key) ?? "";
    const hash = Promise.resolve(known[password] ?? passwords.hash(password)).then(async (value) => {
      await savePasswordHash(database, id, value);
      return value;
    });
    pending.set(email_key, hash);
  }
  return {
    hashOf: async (user) => user.password_hash ?? (await pending.get(user.email_key)) ?? null,
    done: Promise.allSettled(pending.values()).then(() => undefined),
  };
}
