import { readTimeline } from "./holding.ts";
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
    const warnings = [];
    if (changeable.length > 0) {
      const tables = changeable.join(", ");
      warnings.push(
        `The role of the service may change or delete ${tables}. Migrate as another role, with --service-role.`,
      );
    }
    if ((await readTimeline(database)) === null) warnings.push(TIMELINE_HIDDEN);
    return warnings;
  });
}

const TIMELINE_HIDDEN =
  "The role of the service may not call pg_control_checkpoint(), so a restored database is not noticed. Grant it, or run `secureflag-licenses serve admin hold` after a restore.";
