import type { Kysely, Migration } from "kysely";
import { emailKey } from "../../../contract/email.ts";

/** The columns used here, as of this migration. */
type Tables = { users: { id: number; email: string; email_key: string } };

/**
 * Sets every person's `email_key` to the one that all spellings of their email share. Of several people with the same key
 * one gets it, the one who had it before or else the first; the others keep their old key and stay separate people.
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
