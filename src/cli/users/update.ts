import { Argument, type Command, Option } from "commander";
import { ROLES, takesLicense, updatedTraining } from "../../billing/roles.ts";
import type { Client } from "../../client/client.ts";
import type { User } from "../../contract/users.ts";
import { readableSubscription } from "../buying/buying.ts";
import { connectToOrganization } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, printResult } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { shorten } from "../kit/text.ts";
import { trimmedText } from "../kit/values.ts";
import { missingWords } from "../kit/words.ts";
import type { Output } from "../outputs.ts";
import { findUser, readAllUsers } from "./list.ts";
import { rehearseRoles } from "./shortage.ts";
import { ROLE_WORDS, renderUpdatedUser, roleParser } from "./view.ts";

/** Options of `users update`. */
export interface UpdateUserOptions extends GlobalOptions {
  readonly email: string;
  readonly role: number;
  readonly dryRun: boolean;
}

/** Registers `users update`. */
export function registerUpdate(group: Command, context: Context, run: Run<UpdateUserOptions>): void {
  addCommand(group, {
    name: "update",
    description: "Change a user's role, which takes or frees a license as the role demands",
    examples: ["users update ada@northwind.example --role manager", "users update ada@northwind.example --role user"],
  })
    .addArgument(new Argument("<email>", "email address of the user").argParser(trimmedText))
    .addOption(new Option("--role <name>", "role").choices(ROLE_WORDS).argParser(roleParser).makeOptionMandatory())
    .option("--dry-run", "show what would be changed, change nothing")
    .action((email: string, { role, dryRun = false }: { role: number; dryRun?: boolean }, command: Command) =>
      interruptible(context, () => run({ ...readGlobals(command), email, role, dryRun }, context)),
    );
}

/**
 * Gives a user another role, and prints the license counts after it.
 *
 * @throws CliError `not_found`, `forbidden`, `no_license_available`; `invalid_usage` for an email that two users have
 */
export async function runUpdate(options: UpdateUserOptions, context: Context): Promise<void> {
  const { role, dryRun } = options;
  const { client, organizationId } = await connectToOrganization(context, options, "users");
  const users = await withSpinner(context, options, "Finding the user", readAllUsers(client, organizationId));
  const user = findUser(users, options.email);
  const known = { email: user.email ?? options.email, idUser: user.idUser, from: user.role, role };
  if (dryRun) {
    const rehearsal = rehearse(user, role, client, organizationId);
    const licenses = await withSpinner(context, options, "Reading the subscription", rehearsal);
    return await print({ ...known, changed: false, licenses, dryRun }, options, context);
  }
  const updating = client.updateUser(organizationId, user.idUser, role);
  const answer = await withSpinner(context, options, "Changing the role", updating);
  const { organizationLicenses: licenses, pending } = answer;
  const changed = user.role !== role && pending === null;
  await awaitPrinting(
    print({ ...known, changed, licenses, dryRun, ...(pending && { pending }) }, options, context),
    `The role of ${shorten(known.email)} ${pending ? "waits to be changed" : "was changed"}`,
    "See `secureflag-licenses users list --all`.",
  );
}

/** Refuses what the backend would refuse, and reads the license counts. */
async function rehearse(user: User, role: number, client: Client, organizationId: number) {
  const before = { role: user.role ?? ROLES.user, adminNoTraining: user.adminNoTraining ?? false };
  if (before.role !== role) await rehearseRoles(client, [before.role, role], "change");
  const counts = (await readableSubscription(client, organizationId))?.licenses ?? null;
  const isTaken = !takesLicense(before) && takesLicense(updatedTraining(before, { role }));
  if (!isTaken || counts === null || counts.available > 0) return counts;
  throw new CliError("no_license_available", `${missingWords(1 - counts.available)}. Nothing was changed`);
}

async function print(output: Output<"users update">, options: UpdateUserOptions, context: Context): Promise<void> {
  await printResult<"users update">(context, options, output, (view) => renderUpdatedUser(output, view));
}
