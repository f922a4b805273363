import type { Kysely } from "kysely";
import type { Database, PurchaseKey } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import { BACKEND, recordEvent } from "../events/events.ts";
import type { Dispute } from "../payments/gateway.ts";
import { readSetting, writeSetting } from "../seeding/store.ts";

/** A dispute over the payment of a purchase, as it was last seen. */
interface KeptDispute extends Dispute {
  readonly purchaseId: string;
  readonly organizationId: number;
}

const PREFIX = "dispute:";

/**
 * Keeps a dispute for an operator, and records in the audit log that it began and how it ended. The licenses stay. One that
 * has ended does not begin again: an older state of it may be stored later.
 *
 * @param now the billing clock, milliseconds
 */
export async function keepDispute(
  database: Kysely<Database>,
  dispute: Dispute,
  { organization_id: organizationId, id: purchaseId }: PurchaseKey,
  now: number,
): Promise<void> {
  await inTransaction(database, async (tx) => {
    await lock(tx, organizationId);
    const name = `${PREFIX}${dispute.id}`;
    const before = await readKept(tx, name);
    if (before?.isOpen === false) return;
    await writeSetting(tx, name, JSON.stringify({ ...dispute, purchaseId, organizationId } satisfies KeptDispute));
    if (before !== null && dispute.isOpen) return;
    const { id, amount, reason, status } = dispute;
    const data = { dispute: id, amount: amount.amount, currency: amount.currency, reason };
    const about = { organizationId, at: now, actor: BACKEND, purchaseId };
    if (before === null) await recordEvent(tx, { ...about, type: "payment.disputed", data });
    if (!dispute.isOpen) await recordEvent(tx, { ...about, type: "dispute.closed", data: { dispute: id, status } });
  });
}

/** Lists the disputes that have not ended. */
export async function openDisputes(database: Kysely<Database>): Promise<KeptDispute[]> {
  const rows = await database
    .selectFrom("settings")
    .select("value")
    .where("name", "like", `${PREFIX}%`)
    .orderBy("name")
    .execute();
  return rows.map(({ value }) => JSON.parse(value) as KeptDispute).filter(({ isOpen }) => isOpen);
}

/** Locks the organization's subscription, so that one worker at a time changes its disputes. */
async function lock(tx: Kysely<Database>, organizationId: number): Promise<void> {
  await tx
    .updateTable("subscriptions")
    .set((expression) => ({ version: expression.ref("version") }))
    .where("organization_id", "=", organizationId)
    .execute();
}

async function readKept(tx: Kysely<Database>, name: string): Promise<KeptDispute | null> {
  const text = await readSetting(tx, name);
  return text === null ? null : (JSON.parse(text) as KeptDispute);
}
