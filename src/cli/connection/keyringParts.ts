import { createHash } from "node:crypto";

/** An entry of the system's keyring. */
interface KeyringEntry {
  getPassword(): string | null;
  setPassword(secret: string): void;
  /** Gives whether there was a secret. */
  deletePassword(): boolean;
}

/** Finds the entry of an account. */
export type EntryOf = (account: string) => KeyringEntry;

/**
 * The longest secret of Windows' Credential Manager, in UTF-16 code units: 2,560 bytes
 * (https://learn.microsoft.com/en-us/windows/win32/api/wincred/ns-wincred-credentialw, CRED_MAX_CREDENTIAL_BLOB_SIZE).
 */
export const WINDOWS_LIMIT = 1_280;

/** A long secret lies in parts under numbered names of one of two sets; the account's own entry names the set. */
interface Parts {
  readonly set: "a" | "b";
  readonly count: number;
  /** SHA-256 of the secret in hexadecimal digits, so that parts of two secrets are never taken for one. */
  readonly digest: string;
}

/** No sign-in looks like this: it is JSON. */
const PARTS = /^parts ([ab]) (\d{1,3}) ([\da-f]{64})$/;

/** While a secret is read, another process may replace it. */
const MAX_READS = 3;

/**
 * Reads a secret.
 *
 * @returns `null` if it is not stored; if parts are missing, the entry that names them, which is no sign-in
 * @throws what the keyring throws, as all of these functions do
 */
export function readSecret(entryOf: EntryOf, account: string): string | null {
  let found = entryOf(account).getPassword();
  for (let read = 0; read < MAX_READS; read += 1) {
    const parts = partsIn(found);
    if (parts === null) return found;
    const secret = namesOf(account, parts)
      .map((name) => entryOf(name).getPassword() ?? "")
      .join("");
    if (digestOf(secret) === parts.digest) return secret;
    found = entryOf(account).getPassword();
  }
  return found;
}

/**
 * Writes a secret, in parts where it is longer than an entry may be. They go into the set that is not in use, and become
 * the secret by one last write to the account's own entry: whenever this process is killed, the old secret or the new one
 * is there, whole.
 *
 * @param limit of an entry, in UTF-16 code units
 */
export function writeSecret(entryOf: EntryOf, account: string, secret: string, limit: number): void {
  const own = entryOf(account);
  // Keyrings without a limit have no parts, and are not asked for any.
  const before = limit === Number.POSITIVE_INFINITY ? null : partsIn(own.getPassword());
  if (secret.length <= limit) {
    own.setPassword(secret);
    if (before !== null) removeSet(entryOf, account, before.set);
    return;
  }
  const set = before?.set === "a" ? "b" : "a";
  // What an earlier write that was killed left there.
  removeSet(entryOf, account, set);
  const texts = split(secret, limit);
  for (const [index, text] of texts.entries()) entryOf(nameOf(account, set, index + 1)).setPassword(text);
  own.setPassword(`parts ${set} ${texts.length} ${digestOf(secret)}`);
  if (before !== null) removeSet(entryOf, account, before.set);
}

/** Removes a secret, and all that earlier writes left. Gives whether there was one. */
export function removeSecret(entryOf: EntryOf, account: string, limit: number): boolean {
  const isRemoved = entryOf(account).deletePassword();
  if (limit !== Number.POSITIVE_INFINITY) for (const set of ["a", "b"] as const) removeSet(entryOf, account, set);
  return isRemoved;
}

/** The last one goes first, so that what is left of a removal that was killed is found again. */
function removeSet(entryOf: EntryOf, account: string, set: Parts["set"]): void {
  let count = 0;
  while (entryOf(nameOf(account, set, count + 1)).getPassword() !== null) count += 1;
  for (; count > 0; count -= 1) entryOf(nameOf(account, set, count)).deletePassword();
}

/** Between characters, each of which takes two code units at most. */
function split(secret: string, limit: number): string[] {
  return secret.match(new RegExp(`[^]{1,${Math.floor(limit / 2)}}`, "gu")) ?? [];
}

function partsIn(found: string | null): Parts | null {
  const [, set, count, digest] = PARTS.exec(found ?? "") ?? [];
  return digest === undefined ? null : { set: set as Parts["set"], count: Number(count), digest };
}

function namesOf(account: string, { set, count }: Parts): string[] {
  return Array.from({ length: count }, (_, index) => nameOf(account, set, index + 1));
}

/** Another profile's name may be anything, but not by chance the digest of this one's. */
function nameOf(account: string, set: Parts["set"], number: number): string {
  return `(part ${set}${number} of ${digestOf(account)})`;
}

function digestOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}
