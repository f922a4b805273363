import { Argument, type Command } from "commander";
import type { Client } from "../../client/client.ts";
import { knownMe } from "../../client/missing.ts";
import { emailKey } from "../../contract/email.ts";
import type { User } from "../../contract/users.ts";
import { readableSubscription } from "../buying/buying.ts";
import { connectToOrganization } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError, usageError } from "../errors.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, printResult } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { shorten } from "../kit/text.ts";
import { trimmedText } from "../kit/values.ts";
import type { Output } from "../outputs.ts";
import { readAllUsers, withEmail } from "./list.ts";
import { assertMayChange } from "./shortage.ts";
import { renderRemovedUser, userWords } from "./view.ts";

/** Options of `users remove`. */
export interface RemoveUserOptions extends GlobalOptions {
  readonly email: string;
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** Registers `users remove`. */
export function registerRemove(group: Command, context: Context, run: Run<RemoveUserOptions>): void {
  addCommand(group, {
    name: "remove",
    description: "Remove a user, which frees their license",
    examples: ["users remove ada@northwind.example", "users remove ada@northwind.example --yes --json"],
  })
    .addArgument(new Argument("<email>", "email address of the user").argParser(trimmedText))
    .option("--yes", "remove without a prompt")
    .option("--dry-run", "show what would be removed, remove nothing")
    .action((email: string, { yes = false, dryRun = false }: { yes?: boolean; dryRun?: boolean }, command: Command) =>
      interruptible(context, () => run({ ...readGlobals(command), email, yes, dryRun }, context)),
    );
}

/**
 * Removes the user with an email, and prints the license counts after it.
 *
 * @throws CliError `invalid_usage` before any request if there is no prompt and no `--yes`, and for an email that two users
 *   have; `not_found`; `declined_by_person`
 */
export async function runRemove(options: RemoveUserOptions, context: Context): Promise<void> {
  const { yes, dryRun } = options;
  assertConsent(context, options, "remove the user");
  const { client, organizationId } = await connectToOrganization(context, options, "users");
  const finding = findUser(client, organizationId, options.email);
  const user = await withSpinner(context, options, "Finding the user", finding);
  const { idUser } = user;
  const email = user.email ?? options.email;
  if (dryRun) {
    const reading = readableSubscription(client, organizationId);
    const subscription = await withSpinner(context, options, "Reading the subscription", reading);
    await assertRemovable(user, email, client, options, context);
    const licenses = subscription?.licenses ?? null;
    return await print({ email, idUser, removed: false, licenses, dryRun }, options, context);
  }
  if (!yes) {
    await assertRemovable(user, email, client, options, context);
    await confirm(user, options, context);
  }
  const licenses = await withSpinner(context, options, "Removing the user", client.removeUser(organizationId, idUser));
  const printing = print({ email, idUser, removed: true, licenses, dryRun }, options, context);
  await awaitPrinting(
    printing,
    `The user ${shorten(email)} was removed`,
    "See `secureflag-licenses users list --all`.",
  );
}

/**
 * Refuses what the backend would refuse, before the prompt. A backend without `GET /me` decides by itself.
 *
 * @throws CliError `forbidden`, `invalid_request`
 */
async function assertRemovable(
  { role }: User,
  email: string,
  client: Pick<Client, "me">,
  options: RemoveUserOptions,
  context: Context,
): Promise<void> {
  const me = await withSpinner(context, options, "Checking who is signed in", knownMe(client));
  if (me === null) return;
  assertMayChange(me, [role]);
  if (emailKey(me.user.email) !== emailKey(email)) return;
  throw new CliError("invalid_request", "You cannot remove yourself", {
    hint: "Ask another administrator. Nothing was changed.",
  });
}

async function findUser(client: Pick<Client, "usersPage">, organizationId: number, email: string): Promise<User> {
  const [user, another] = withEmail(await readAllUsers(client, organizationId), email);
  if (!user) {
    const message = `User not found: ${shorten(email)}`;
    throw new CliError("not_found", message, { hint: "See `secureflag-licenses users list --all`." });
  }
  if (!another) return user;
  throw usageError(
    `Several users have the email ${shorten(email)}, for example ${user.idUser} and ${another.idUser}`,
    "Nothing was changed. Contact the operator of the backend.",
  );
}

/** Asks for confirmation; the default is No. */
async function confirm(user: User, options: RemoveUserOptions, context: Context): Promise<void> {
  await confirmOrCancel(context, options, `Remove ${userWords(user)}?`);
}

async function print(output: Output<"users remove">, options: RemoveUserOptions, context: Context): Promise<void> {
  await printResult<"users remove">(context, options, output, (view) => renderRemovedUser(output, view));
}
