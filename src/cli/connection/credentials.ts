import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import * as z from "zod";
import { MAX_TOKEN_BYTES } from "../../client/token.ts";
import { CliError } from "../errors.ts";
import { type LockMachine, withFileLock } from "../files/fileLock.ts";
import { deniedError } from "../files/ownership.ts";
import {
  assertPrivateDirectory,
  MAX_BYTES,
  readPrivateFile,
  removePrivateFile,
  writePrivateFile,
} from "../files/privateFile.ts";
import type { Keyring } from "./keyring.ts";

const credentialSchema = z.object({
  apiUrl: z.url(),
  email: z.string().nullable(),
  accessToken: z.string().min(1),
  accessExpiresAt: z.int().nullable(),
  refreshToken: z.string().min(1).nullable(),
  scopes: z.array(z.string()),
});

/** Sign-ins are read one by one, so that one that is broken hides no other. */
const fileSchema = z.object({ profiles: z.record(z.string(), z.unknown()) });

const storedTokenSchema = z.string().min(1).max(MAX_TOKEN_BYTES);

/** What stands in the file for a sign-in that the keyring keeps, so that the keyring is asked for no other. */
const IN_KEYRING = { keyring: true };

const inKeyringSchema = z.strictObject({ keyring: z.literal(true) });

/** What may be stored: a backend's answer must not make a sign-in, or the file of all of them, unreadable. */
const storableSchema = credentialSchema.extend({
  apiUrl: z.url().max(2048),
  email: z.string().max(1024).nullable(),
  accessToken: storedTokenSchema,
  refreshToken: storedTokenSchema.nullable(),
  scopes: z.array(z.string().max(256)).max(100),
});

/** A sign-in. `accessExpiresAt` is in milliseconds of this machine's clock, `null` where it is not known. */
export type StoredCredential = z.infer<typeof credentialSchema>;

/** Where a sign-in is kept. */
export type CredentialSource = "keyring" | "file";

/** Keeps one sign-in per profile, in the system's keyring or else in a file. */
export interface CredentialStore {
  /** @throws CliError `credentials_unsafe`, `credentials_unreadable`, `keyring_locked`, `keyring_unavailable` */
  read(profile: string): Promise<{ credential: StoredCredential; source: CredentialSource } | null>;
  /**
   * Where a profile's sign-in is kept, without asking the keyring; `null` where there is none that can be read.
   *
   * @throws SessionError `credentials_unsafe`
   */
  place(profile: string): Promise<CredentialSource | null>;
  /**
   * Makes sure that a sign-in could be written there.
   *
   * @throws CliError as `write`
   */
  check(place: CredentialSource): Promise<void>;
  /**
   * Replaces any older sign-in of the profile, in the keyring as well.
   *
   * @throws CliError `keyring_locked`, `keyring_unavailable`, `credentials_unsafe`, `credentials_unreadable`,
   *   `unexpected_answer` for a sign-in that is larger than any that makes sense
   */
  write(profile: string, credential: StoredCredential, place: CredentialSource): Promise<void>;
  /**
   * Gives whether there was a sign-in.
   *
   * @throws CliError `keyring_locked`, `keyring_unavailable` where it is in the keyring; what `check` throws
   */
  remove(profile: string): Promise<boolean>;
  /**
   * Runs work while no other process changes this profile's sign-in: what is read in it is the newest until it ends.
   *
   * @throws CliError `sign_in_busy` where another process does for more than 30 s; what the work throws
   */
  exclusively<Result>(profile: string, work: () => Promise<Result>): Promise<Result>;
}

/** Whether a sign-in may be sent to this URL: only to the exact origin that it came from. */
export function boundTo(credential: StoredCredential, apiUrl: string): boolean {
  return URL.canParse(apiUrl) && new URL(credential.apiUrl).origin === new URL(apiUrl).origin;
}

/**
 * Opens the store of a configuration directory. The keyring is asked only for sign-ins that were put there.
 */
export function createCredentialStore(directory: string, machine: LockMachine, keyring: Keyring): CredentialStore {
  const file = new CredentialFile(join(directory, "credentials.json"), machine);
  return {
    async read(profile) {
      const found = file.read().get(profile);
      if (found === undefined) return null;
      if (!isInKeyring(found)) return { credential: file.parse(profile, found), source: "file" };
      const secret = await keyring.read(profile);
      return secret === null ? null : { credential: parseSecret(secret, profile), source: "keyring" };
    },
    async place(profile) {
      const found = file.readable()?.get(profile);
      if (isInKeyring(found)) return "keyring";
      return credentialSchema.safeParse(found).success ? "file" : null;
    },
    async check(place) {
      file.read();
      if (place === "keyring") await keyring.probe();
    },
    async write(profile, credential, place) {
      assertStorable(credential);
      if (place === "keyring") await keyring.write(profile, JSON.stringify(credential));
      await file.write(profile, place === "keyring" ? IN_KEYRING : credential);
    },
    async remove(profile) {
      const found = file.readable()?.get(profile);
      const inKeyring = isInKeyring(found) && (await keyring.remove(profile));
      const inFile = await file.remove(profile);
      return inKeyring || (inFile && !isInKeyring(found));
    },
    exclusively: (profile, work) => locked(join(directory, `sign-in-${digestOf(profile)}.lock`), machine, work),
  };
}

/** The file with the sign-ins of every profile. */
class CredentialFile {
  constructor(
    private readonly path: string,
    private readonly machine: LockMachine,
  ) {}

  /** The sign-ins as they were written, each still to be checked. */
  read(): Map<string, unknown> {
    const text = this.guarded("read", () => {
      const found = readPrivateFile(this.path, this.machine);
      if (found !== null) assertPrivateDirectory(dirname(this.path), this.machine);
      return found;
    });
    return new Map(text === null ? [] : Object.entries(parse(text, fileSchema, this.path, null).profiles));
  }

  parse(profile: string, found: unknown): StoredCredential {
    return checked(found, credentialSchema, `The sign-in of profile "${profile}" in ${this.path}`, profile);
  }

  async write(profile: string, entry: StoredCredential | typeof IN_KEYRING): Promise<void> {
    if (isInKeyring(entry) && isInKeyring(this.read().get(profile))) return;
    await this.locked(async () => this.save(this.read().set(profile, entry)));
  }

  async remove(profile: string): Promise<boolean> {
    // Mostly there is nothing to remove, and then nothing to write.
    if (this.readable()?.has(profile) === false) return false;
    return await this.locked(async () => {
      const profiles = this.readable();
      if (profiles === null) return this.guarded("removed", () => removePrivateFile(this.path, this.machine));
      if (!profiles.delete(profile)) return false;
      if (profiles.size > 0) this.save(profiles);
      else this.guarded("removed", () => removePrivateFile(this.path, this.machine));
      return true;
    });
  }

  /** One process at a time reads the file and writes it back, so that no sign-in of another profile is lost. */
  private locked<Result>(work: () => Promise<Result>): Promise<Result> {
    return locked(`${this.path}.lock`, this.machine, work);
  }

  /** `null` where the file is not what this tool writes. */
  readable(): Map<string, unknown> | null {
    try {
      return this.read();
    } catch (error) {
      if (error instanceof CliError && error.code === "credentials_unreadable") return null;
      throw error;
    }
  }

  private save(profiles: Map<string, unknown>): void {
    const text = `${JSON.stringify({ profiles: Object.fromEntries(profiles) }, null, 2)}\n`;
    this.guarded("written", () => {
      if (Buffer.byteLength(text) > MAX_BYTES) throw new RangeError("it would be larger than what is read");
      writePrivateFile(this.path, text, this.machine);
    });
  }

  private guarded<Result>(done: string, work: () => Result): Result {
    try {
      return work();
    } catch (cause) {
      if (cause instanceof CliError) throw cause;
      const denied = deniedError(cause, this.path, this.machine.uid, "credentials_unreadable");
      if (denied) throw denied;
      const hint = "Check the rights of the file and its directory, and that the disk is not full.";
      throw new CliError("credentials_unreadable", `${this.path} cannot be ${done}`, { hint, cause });
    }
  }
}

/** A profile's name may hold what a file's name cannot. */
function digestOf(profile: string): string {
  return createHash("sha256").update(profile).digest("hex").slice(0, 16);
}

/** Loaded only where something is written: reading a sign-in needs no lock. */
async function locked<Result>(path: string, machine: LockMachine, work: () => Promise<Result>): Promise<Result> {
  return await withFileLock(path, machine, work);
}

function isInKeyring(found: unknown): boolean {
  return inKeyringSchema.safeParse(found).success;
}

function parseSecret(secret: string, profile: string): StoredCredential {
  return parse(secret, credentialSchema, `The sign-in of profile "${profile}" in the system's keyring`, profile);
}

function assertStorable(credential: StoredCredential): void {
  const issue = storableSchema.safeParse(credential).error?.issues[0];
  if (issue === undefined) return;
  // Its text is not shown, because it may be a secret.
  const what = `the ${issue.path[0]?.toString()} of the sign-in cannot be stored`;
  const message = `Unexpected response from ${new URL(credential.apiUrl).origin}: ${what}`;
  const hint = "Nothing was stored. Report this to the operator of the backend.";
  throw new CliError("unexpected_answer", message, { hint });
}

/** @param profile whose sign-in it is; `null` for the file of all profiles */
function parse<Value>(text: string, schema: z.ZodType<Value>, where: string, profile: string | null): Value {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unreadable(where, profile, cause);
  }
  return checked(value, schema, where, profile);
}

function checked<Value>(value: unknown, schema: z.ZodType<Value>, where: string, profile: string | null): Value {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw unreadable(where, profile, parsed.error);
}

function unreadable(where: string, profile: string | null, cause: unknown): CliError {
  const logout = `secureflag-licenses logout${profile === "default" ? "" : ` --profile ${profile}`}`;
  const [what, hint] =
    profile === null
      ? ["is not what this tool writes", "Run `secureflag-licenses logout`, or remove it by hand, and sign in again."]
      : ["cannot be read", `Run \`${logout}\` and sign in again; other profiles are kept.`];
  return new CliError("credentials_unreadable", `${where} ${what}`, { hint, cause });
}
