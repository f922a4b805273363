import type { Kysely } from "kysely";
import { emailKey } from "../../contract/email.ts";
import type { Database } from "../database/schema.ts";
import { type BackendError, startError } from "../errors.ts";
import { NO_PASSWORD } from "../identity/memberships.ts";
import { type SecretBox, secretBox } from "../identity/secretBox.ts";
import { passwords } from "../identity/secrets.ts";
import { BUILT_IN_PASSWORD, BUILT_IN_PASSWORD_HASH } from "../seeding/seed.ts";
import { readSeed, type Seed, type SeedOrganization } from "../seeding/seedFile.ts";
import { assertStarted, seedRows } from "../seeding/seedRows.ts";
import { type SeedRows, seedStore } from "../seeding/store.ts";
import { databaseNow } from "./clock.ts";
import { invalidSettings } from "./given.ts";
import { assertAtProvider } from "./importCheck.ts";
import type { OperatorProvider } from "./operatorProvider.ts";

/** An organization that was created. */
export type CreatedOrganization = Pick<SeedOrganization, "id" | "name">;

/** How to import. */
export interface ImportOptions {
  /** Without it the file must have nothing that is only for tests. */
  readonly isTestMode: boolean;
  /** The provider that charges the organizations. */
  readonly provider: OperatorProvider;
  /** Encrypt the secrets of one-time codes. */
  readonly masterKeys: readonly Buffer[];
  random(bytes: number): Buffer;
}

/**
 * Imports the organizations of a seed file, all or none. Their passwords are hashed first.
 *
 * @throws BackendError `seed_invalid`, `organization_exists`; `settings_invalid` if a key is needed and missing;
 *   `unavailable` without an answer from the provider
 */
export async function importSeed(
  database: Kysely<Database>,
  file: { path: string; text: string },
  { isTestMode, provider, masterKeys, random }: ImportOptions,
): Promise<CreatedOrganization[]> {
  const { seed } = readSeed(file, isTestMode ? "test" : "live");
  const now = Math.round(await databaseNow(database));
  assertStarted(seed, file.path, now);
  await assertAtProvider(seed, file.path, { provider, now });
  const hashes = await hashPasswords(seed, random);
  const rows = seed.organizations.map((organization) => withHashes(seedRows(organization, now, random), hashes));
  const hasCodes = rows.some(({ totpSecrets }) => totpSecrets.size > 0);
  if (hasCodes && masterKeys.length === 0) {
    throw invalidSettings(["SECUREFLAG_SECRETS_KEY is required to encrypt the secrets of one-time codes"]);
  }
  // Nothing is encrypted with the key that stands in for none.
  const secrets = secretBox(masterKeys.length === 0 ? [random(32)] : masterKeys, random);
  await createOrganizations(database, rows, secrets);
  return seed.organizations.map(({ id, name }) => ({ id, name }));
}

/** The hash of every user's password, by `email_key`. */
type Hashes = ReadonlyMap<string, string>;

async function hashPasswords(seed: Seed, random: (bytes: number) => Buffer): Promise<Hashes> {
  const hashing = passwords(random);
  const byPassword = new Map([[BUILT_IN_PASSWORD, Promise.resolve(BUILT_IN_PASSWORD_HASH)]]);
  const users = seed.organizations.flatMap((organization) => organization.users);
  const hashed = users.flatMap(({ email, password }) => {
    if (password === undefined) return [];
    const hash = byPassword.get(password) ?? hashing.hash(password);
    byPassword.set(password, hash);
    return [hash.then((text) => [emailKey(email), text] as const)];
  });
  return new Map(await Promise.all(hashed));
}

function withHashes(rows: SeedRows, hashes: Hashes): SeedRows {
  const users = rows.users.map((user) => ({
    ...user,
    password_hash: hashes.get(user.email_key) ?? user.password_hash ?? NO_PASSWORD,
  }));
  return { ...rows, users };
}

/**
 * Creates organizations with their users and tokens, all or none.
 *
 * @throws BackendError `organization_exists`; `seed_invalid` if a token belongs to another organization already
 */
export async function createOrganizations(
  database: Kysely<Database>,
  organizations: readonly SeedRows[],
  secrets: SecretBox,
): Promise<void> {
  const ids = organizations.map(({ organization }) => organization.id);
  const known = await database.selectFrom("organizations").select("id").where("id", "in", ids).execute();
  if (known.length > 0) throw organizationExists(known.map(({ id }) => id));
  try {
    await seedStore(database, organizations, {}, secrets);
  } catch (error) {
    if ((error as { code?: unknown }).code !== UNIQUE_VIOLATION) throw error;
    const { table = "" } = error as { table?: string };
    if (/provider/.test(table)) {
      const message = "A customer or subscription at the provider already belongs to another organization";
      throw startError("seed_invalid", message, "Nothing was created. Use another customer or subscription.", {
        cause: error,
      });
    }
    if (!/token/.test(table)) throw organizationExists(ids);
    throw startError("seed_invalid", "A token already exists in another organization", "Choose other tokens.", {
      cause: error,
    });
  }
}

/** The SQLSTATE of a duplicate key. */
const UNIQUE_VIOLATION = "23505";

/** The error of organizations that exist already. */
export function organizationExists(ids: readonly number[]): BackendError {
  const [first, ...more] = ids;
  const which =
    more.length === 0 ? `Organization ${first} already exists` : `Organizations already exist: ${ids.join(", ")}`;
  return startError("organization_exists", which, "Nothing was created. Choose another number.");
}
