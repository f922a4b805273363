import type { CommandDeps, withProvider } from "../../backend/service/provider.ts";
import type * as Backend from "../../backend/service/store.ts";
import { trustSystemEverywhere } from "../../client/systemCertificates.ts";
import type { Context } from "../context.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { note } from "../kit/output.ts";
import type { GivenSettings } from "./settings.ts";

type Provider = Parameters<Parameters<typeof withProvider>[2]>[0];

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
  await trustSystemEverywhere();
  const settings = await readDatabaseSettings(options.settings);
  return withSchema(settings, (line) => note(context, options, line), work);
}

/**
 * Runs work on the database of the service and with its payment provider.
 *
 * @throws BackendError `settings_invalid`, `schema_mismatch`, `database_unreachable`, `unavailable`, or what `work` throws
 */
export async function onProvider<Result>(
  options: StoreOptions,
  context: Context,
  work: (deps: Provider) => Promise<Result>,
): Promise<Result> {
  const [{ readPaymentSettings }, { withProvider }] = await Promise.all([
    import("../../backend/service/settings.ts"),
    import("../../backend/service/provider.ts"),
  ]);
  await trustSystemEverywhere();
  const settings = await usualSettings(options, context);
  return withProvider(await readPaymentSettings(settings), commandDeps(options, context), work);
}

/**
 * Returns the settings of a command, with the payment provider that the service last started with if they name none.
 *
 * @throws BackendError `settings_invalid`, `schema_mismatch`, `database_unreachable`
 */
export async function usualSettings(options: StoreOptions, context: Context): Promise<GivenSettings> {
  const { withUsualProvider } = await import("../../backend/service/usualProvider.ts");
  return withUsualProvider(options.settings, (line) => note(context, options, line));
}

/** Returns what a command of the backend takes from its machine. */
export function commandDeps(options: GlobalOptions, context: Context): CommandDeps {
  return {
    now: context.clock.now,
    monotonic: context.clock.monotonic,
    random: context.random.bytes,
    reach: context.reach,
    log: (line) => note(context, options, line),
  };
}
