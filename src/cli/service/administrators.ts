import type { Command } from "commander";
import type { Context } from "../context.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, printResult } from "../kit/output.ts";
import { clean, cleanWhole } from "../kit/text.ts";
import { someText, trimmedText } from "../kit/values.ts";
import { namedOrganization } from "./organizations.ts";
import { addDatabaseFlags, addPublicUrlFlag, givenSettings } from "./settings.ts";
import { onStore, type StoreOptions } from "./store.ts";

/** Options of `serve admin create-administrator`. */
export interface AdministratorOptions extends StoreOptions {
  readonly email: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly isReplacing: boolean;
}

/** Registers `serve admin create-administrator`. */
export function registerCreateAdministrator(
  admin: Command,
  context: Context,
  run: Run<AdministratorOptions> = runCreateAdministrator,
): void {
  const command = addCommand(admin, {
    name: "create-administrator",
    description: "Add an administrator and print a link to set up the account",
    examples: [
      "serve admin create-administrator ada@northwind.example --org 4201",
      "serve admin create-administrator ada@northwind.example --org 4201 --replace",
    ],
  });
  addPublicUrlFlag(addDatabaseFlags(command))
    .argument("<email>", "email of the administrator", trimmedText)
    .option("--first-name <name>", "first name", someText)
    .option("--last-name <name>", "last name", someText)
    .option("--replace", "replace a lost password and authenticator app")
    .action((email: string, flags: { firstName?: string; lastName?: string; replace?: true }, called: Command) => {
      const { firstName = "", lastName = "", replace: isReplacing = false } = flags;
      const settings = givenSettings(called, context);
      const options = { ...readGlobals(called), settings, email, firstName, lastName, isReplacing };
      return interruptible(context, () => run(options, context));
    });
}

/**
 * Makes a person an administrator of the organization that `--org` names, and prints a link for setting a password. The
 * link works once and expires after an hour.
 *
 * @throws CliError `invalid_usage` without `--org`; BackendError `not_found`, `invalid_request`, `settings_invalid`,
 *   `schema_mismatch`, `database_unreachable`
 */
async function runCreateAdministrator(options: AdministratorOptions, context: Context): Promise<void> {
  const administrator = { ...options, organizationId: namedOrganization(options) };
  const [{ readLinkSettings }, { createAdministrator }] = await Promise.all([
    import("../../backend/service/settings.ts"),
    import("../../backend/service/administrators.ts"),
  ]);
  const { publicUrl } = await readLinkSettings(options.settings);
  const created = await onStore(options, context, (database) =>
    createAdministrator(database, administrator, {
      publicUrl,
      isReplacing: options.isReplacing,
      random: context.random.bytes,
    }),
  );
  const { email, link } = created;
  const printing = printResult<"serve admin create-administrator">(context, options, created, () =>
    link === null
      ? `Invited ${clean(email)}, who signs in with their existing password.`
      : `${clean(email)} can set up the account with this link, valid for one hour:\n${cleanWhole(link)}`,
  );
  await awaitPrinting(printing, "The administrator was created", "Run the command again to get another link.");
}
