import type * as Backend from "../../backend/service/store.ts";
import type { Context } from "../context.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { note } from "../kit/output.ts";
import type { GivenSettings } from "./settings.ts";

type Store = Parameters<Parameters<typeof Backend.withSchema>[2]>[0];

/** Options of every command that uses the database of the service. */
export interface StoreOptions extends GlobalOptions {
  readonly settings: GivenSettings;
}

/**
 * Runs work on the database of the service, which must have this version's schema.
 *
 * @throws BackendError `settings_invalid`, `schema_mismatch`, `database_unreachable`, or what `work` throws
 */
export async function onStore<Result>(
  options: StoreOptions,
  context: Context,
  work: (database: Store) => Promise<Result>,
): Promise<Result> {
  const [{ readDatabaseSettings }, { withSchema }] = await Promise.all([
    import("../../backend/service/settings.ts"),
    import("../../backend/service/store.ts"),
  ]);
  const settings = await readDatabaseSettings(options.settings);
  return withSchema(settings, (line) => note(context, options, line), work);
}
