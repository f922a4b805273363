import type { Kysely } from "kysely";
import type { AssignmentStrategy } from "../../contract/assignmentStrategies.ts";
import { type Change, recordEvent } from "./records.ts";
import type { Database } from "./schema.ts";

/** What an organization assigns to everybody who is added. */
export async function readAssignmentStrategy(
  database: Kysely<Database>,
  organizationId: number,
): Promise<AssignmentStrategy> {
  const { assignment_strategy } = await database
    .selectFrom("organizations")
    .select("assignment_strategy")
    .where("id", "=", organizationId)
    .executeTakeFirstOrThrow();
  return assignment_strategy;
}

/** Sets what an organization assigns to everybody who is added from now on, and tells the audit log of a change. */
export async function saveAssignmentStrategy(
  database: Kysely<Database>,
  organizationId: number,
  strategy: AssignmentStrategy,
  change: Change,
): Promise<void> {
  await database.transaction().execute(async (tx) => {
    const { numUpdatedRows } = await tx
      .updateTable("organizations")
      .set({ assignment_strategy: strategy })
      .where("id", "=", organizationId)
      .where("assignment_strategy", "!=", strategy)
      .executeTakeFirst();
    if (Number(numUpdatedRows) === 0) return;
    const data = { assignmentStrategy: strategy };
    await recordEvent(tx, { ...change, organizationId, type: "organization.assignment_strategy_set", data });
  });
}
