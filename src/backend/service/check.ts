import { changeableRecords } from "./migrate.ts";
import type { DatabaseSettings } from "./settings.ts";
import { assertSchema, withStore } from "./store.ts";

/**
 * Checks that the database of a service can be reached and has this version's schema.
 *
 * @returns warnings, one sentence each
 * @throws BackendError `schema_mismatch`, `database_unreachable`
 */
export function checkService(settings: DatabaseSettings, log: (line: string) => void): Promise<string[]> {
  return withStore(settings, log, async (database) => {
    await assertSchema(database);
    const changeable = await changeableRecords(database);
    if (changeable.length === 0) return [];
    return [
      `The role of the service may change or delete ${changeable.join(", ")}. Migrate as another role, with --service-role.`,
    ];
  });
}
