import { trustSystemEverywhere } from "../../client/systemCertificates.ts";
import type { Context } from "../context.ts";
import type { GlobalOptions } from "../kit/command.ts";
import { note, printResult } from "../kit/output.ts";
import { clean } from "../kit/text.ts";
import type { Output } from "../outputs.ts";
import type { GivenSettings } from "./settings.ts";

/**
 * Checks the settings of the service, that its database is reachable and has this version's schema, and the payment
 * provider.
 *
 * @throws BackendError `settings_invalid`, `schema_mismatch`, `database_unreachable`; `unavailable` without an answer from
 *   the provider
 */
export async function runCheck(
  options: GlobalOptions & { readonly settings: GivenSettings },
  context: Context,
): Promise<void> {
  const [{ readServiceSettings }, { checkService, checkProvider }] = await Promise.all([
    import("../../backend/service/settings.ts"),
    import("../../backend/service/check.ts"),
  ]);
  await trustSystemEverywhere();
  const settings = await readServiceSettings(options.settings);
  const ofDatabase = await checkService(settings.database, (line) => note(context, options, line));
  const account = await checkProvider(settings, context.clock.monotonic);
  const warnings = [...ofDatabase, ...(account?.warnings ?? [])];
  const payments = account && {
    provider: account.provider,
    mode: account.mode,
    seller: account.seller,
    apiVersion: account.apiVersion,
  };
  await printResult<"serve check">(context, options, { ok: true, warnings, payments }, () =>
    [
      "The service can start.",
      ...(payments ? [accountLine(payments)] : []),
      ...warnings.map((warning) => `Warning: ${warning}`),
    ].join("\n"),
  );
}

function accountLine({ mode, seller, apiVersion }: NonNullable<Output<"serve check">["payments"]>): string {
  const paid = seller === null ? "Stripe" : `Stripe, paid to ${clean(seller)}`;
  return `${paid}: ${mode} mode, API version ${apiVersion}.`;
}
