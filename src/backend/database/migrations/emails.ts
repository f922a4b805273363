import type { Kysely, Migration } from "kysely";
import { emailKey } from "../../../contract/email.ts";

/** The columns that are read and written here, as they are at this point. */
type Tables = { users: { id: number; email: string; email_key: string } };

/**
 * Gives every person the key of their email that all spellings share. Of several who have the same one, one has it, the
 * one who had it before or else the first; the others keep theirs, and stay the people that they are.
 */
export const emailsMigration: Migration = {
  async up(db: Kysely<unknown>) {
    const tables = db.withTables<Tables>();
    const users = await tables.selectFrom("users").select(["id", "email", "email_key"]).orderBy("id").execute();
    const taken = new Set(users.map(({ email_key }) => email_key));
    for (const { id, email, email_key } of users) {
      const key = emailKey(email);
      if (taken.has(key)) continue;
      await tables.updateTable("users").set({ email_key: key }).where("id", "=", id).execute();
      taken.delete(email_key);
      taken.add(key);
    }
  },
};
