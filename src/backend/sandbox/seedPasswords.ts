import type { Kysely } from "kysely";
import { emailKey } from "../../contract/email.ts";
import type { Passwords } from "../auth/passwords.ts";
import { savePasswordHash } from "../store/identities.ts";
import type { Database, UserRow } from "../store/schema.ts";
import { usersWithoutPassword } from "../store/seeding.ts";
import type { Seed } from "./seedSchema.ts";

/** The passwords of a seed, hashed in the background; a sign-in that comes first waits for its own (details.md, 29). */
export class SeedPasswords {
  private readonly wanted: ReadonlyMap<string, string>;
  private readonly hashes = new Map<number, Promise<string>>();
  private readonly byPassword: Map<string, Promise<string>>;
  private isStopped = false;
  private running: Promise<void> = Promise.resolve();

  /** @param known hashes that need no work, by password */
  constructor(
    private readonly database: Kysely<Database>,
    private readonly passwords: Passwords,
    known: Readonly<Record<string, string>>,
    seed: Seed | null,
  ) {
    const users = (seed?.organizations ?? []).flatMap((organization) => organization.users);
    this.byPassword = new Map(Object.entries(known).map(([password, hash]) => [password, Promise.resolve(hash)]));
    this.wanted = new Map(users.map((user) => [emailKey(user.email), user.password]));
  }

  /** The hash of a user's password, `null` where there is none. */
  async hashOf(user: Pick<UserRow, "id" | "email_key" | "password_hash">): Promise<string | null> {
    if (user.password_hash !== null) return user.password_hash;
    const password = this.wanted.get(user.email_key);
    if (password === undefined) return null;
    const hash = this.hashes.get(user.id) ?? this.hash(user.id, password);
    this.hashes.set(user.id, hash);
    // One that could not be stored is stored by a later sign-in.
    hash.catch(() => this.hashes.delete(user.id));
    return hash;
  }

  /** Begins to hash what is missing, one after the other. */
  start(onFailure: (error: unknown) => void): void {
    this.running = this.hashMissing().catch(onFailure);
  }

  /** Ends the work: all of it done first, or without what has not begun. */
  async end(how: "all" | "now"): Promise<void> {
    this.isStopped = how === "now";
    await this.running;
  }

  private async hashMissing(): Promise<void> {
    if (this.wanted.size === 0) return;
    for (const user of await usersWithoutPassword(this.database, [...this.wanted.keys()])) {
      if (this.isStopped) return;
      await this.hashOf({ ...user, password_hash: null });
    }
  }

  private async hash(userId: number, password: string): Promise<string> {
    // People of a seed often share a password, and each hash is a third of a second of work.
    const shared = this.byPassword.get(password) ?? this.passwords.hash(password);
    this.byPassword.set(password, shared);
    const hash = await shared;
    await savePasswordHash(this.database, userId, hash);
    return hash;
  }
}
