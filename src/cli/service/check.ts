import type { Context } from "../context.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { note, printResult } from "../kit/output.ts";
import type { GivenSettings } from "./settings.ts";

/**
 * Checks the settings of the service, and that its database is reachable and has this version's schema.
 *
 * @throws BackendError `settings_invalid`, `schema_mismatch`, `database_unreachable`
 */
export async function runCheck(
  options: GlobalOptions & { readonly settings: GivenSettings },
  context: Context,
): Promise<void> {
  const [{ readServiceSettings }, { checkService }] = await Promise.all([
    import("../../backend/service/settings.ts"),
    import("../../backend/service/check.ts"),
  ]);
  const settings = await readServiceSettings(options.settings);
  const warnings = await checkService(settings.database, (line) => note(context, options, line));
  await printResult<"serve check">(context, options, { ok: true, warnings }, () =>
    ["The service can start.", ...warnings.map((warning) => `Warning: ${warning}`)].join("\n"),
  );
}
