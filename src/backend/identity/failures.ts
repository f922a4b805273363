import type { Kysely } from "kysely";
import type { Database, UserRow } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { BackendDeps } from "../deps.ts";
import { recordEvent } from "../events/events.ts";
import { administeredBy } from "./memberships.ts";
import { ATTEMPT_WINDOW_MS } from "./sessions.ts";

type FailureDeps = Pick<BackendDeps, "database" | "now" | "clock" | "log">;

/**
 * Records a failed sign-in of an account in every organization that its user administers, unless one was recorded in the
 * last 15 minutes. Returns at once: an answer that waited for it would tell that the account exists.
 */
export function recordFailure(deps: FailureDeps, user: UserRow): void {
  const at = { billing: deps.clock.now(), machine: deps.now() };
  setImmediate(() => {
    record(deps, user, at).catch((error: unknown) => deps.log(`failed sign-in of user ${user.id}`, error));
  });
}

async function record(
  { database }: FailureDeps,
  user: UserRow,
  at: { billing: number; machine: number },
): Promise<void> {
  await inTransaction(database, async (tx) => {
    if (!(await isFirst(tx, user, at.machine))) return;
    for (const organizationId of await administeredBy(tx, user.id)) {
      await recordEvent(tx, { organizationId, at: at.billing, type: "sign_in.failed", actor: user.email });
    }
  });
}

/** Notes a failure among the attempts, unless there is one. Locks the user, so that of parallel failures one is the first. */
async function isFirst(tx: Kysely<Database>, user: UserRow, now: number): Promise<boolean> {
  const noted = { email_key: user.email_key, address: RECORDED };
  await tx
    .updateTable("users")
    .set((expression) => ({ email_key: expression.ref("email_key") }))
    .where("id", "=", user.id)
    .execute();
  const earlier = await tx
    .selectFrom("sign_in_attempts")
    .select("at")
    .where("address", "=", noted.address)
    .where("email_key", "=", noted.email_key)
    .where("at", ">=", now - ATTEMPT_WINDOW_MS)
    .executeTakeFirst();
  if (earlier) return false;
  await tx
    .insertInto("sign_in_attempts")
    .values({ ...noted, id: null, at: now })
    .execute();
  return true;
}

/** The place of what was recorded, which is no network address. */
const RECORDED = "event log";
