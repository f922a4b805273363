import { Argument, type Command } from "commander";
import type { Client } from "../../client/client.ts";
import { knownMe } from "../../client/missing.ts";
import type { LicenseCounts } from "../../contract/basics.ts";
import { emailKey } from "../../contract/email.ts";
import type { Me } from "../../contract/identity.ts";
import type { PendingChange } from "../../contract/policy.ts";
import type { User } from "../../contract/users.ts";
import { readableSubscription } from "../buying/buying.ts";
import { connectToOrganization } from "../connection/connect.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf, usageError } from "../errors.ts";
import { assertPiped, STANDARD } from "../files/standard.ts";
import { addCommand, type GlobalOptions, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { awaitPrinting, printResult, viewOf } from "../kit/output.ts";
import { assertConsent, confirmOrCancel } from "../kit/prompt.ts";
import { withSpinner } from "../kit/spinner.ts";
import { shorten } from "../kit/text.ts";
import { trimmedText } from "../kit/values.ts";
import { findUser, readAllUsers } from "./list.ts";
import type { RemovedUser, RemovedUsers } from "./outputs.ts";
import { assertMayChange } from "./shortage.ts";
import { namedUsers, people, renderRemovedUser, renderRemovedUsers, userWords } from "./view.ts";

/** Options of `users remove`. */
export interface RemoveUserOptions extends GlobalOptions {
  /** `["-"]` reads them from stdin, one a line. */
  readonly emails: readonly string[];
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** Registers `users remove`. */
export function registerRemove(group: Command, context: Context, run: Run<RemoveUserOptions>): void {
  const each = (text: string, earlier: readonly string[] = []) => [...earlier, trimmedText(text)];
  addCommand(group, {
    name: "remove",
    description: "Remove users, which frees their licenses",
    examples: ["users remove ada@northwind.example", "users remove - --yes < leavers.txt"],
  })
    .addArgument(new Argument("<email...>", "email addresses of the users; - for stdin, one a line").argParser(each))
    .option("--yes", "remove without a prompt")
    .option("--dry-run", "show what would be removed, remove nothing")
    .action(
      (emails: string[], { yes = false, dryRun = false }: { yes?: boolean; dryRun?: boolean }, command: Command) =>
        interruptible(context, () => run({ ...readGlobals(command), emails, yes, dryRun }, context)),
    );
}

/**
 * Removes the users with the emails, and prints the license counts after it. Of several, the others are removed also if
 * one cannot be.
 *
 * @throws CliError `invalid_usage` before any request if there is no prompt and no `--yes`, and for an email that two users
 *   have; `not_found`; `declined_by_person`; of several, the first failure after the result was printed
 */
export async function runRemove(options: RemoveUserOptions, context: Context): Promise<void> {
  const [email = "", ...more] = options.emails;
  if (options.emails.includes(STANDARD)) assertPiped(context.io);
  assertConsent(context, options, more.length === 0 && email !== STANDARD ? "remove the user" : "remove the users");
  if (more.length === 0 && email !== STANDARD) return await removeOne(email, options, context);
  await removeSeveral(await emailsOf(options, context), options, context);
}

async function removeOne(given: string, options: RemoveUserOptions, context: Context): Promise<void> {
  const { yes, dryRun } = options;
  const { client, organizationId } = await connectToOrganization(context, options, "users");
  const users = await withSpinner(context, options, "Finding the user", readAllUsers(client, organizationId));
  const user = findUser(users, given);
  const { idUser } = user;
  const email = user.email ?? given;
  if (dryRun) {
    const reading = readableSubscription(client, organizationId);
    const subscription = await withSpinner(context, options, "Reading the subscription", reading);
    assertRemovable(user, email, await whoRemoves(client, options, context));
    const licenses = subscription?.licenses ?? null;
    return await print({ email, idUser, removed: false, licenses, dryRun }, options, context);
  }
  if (!yes) {
    assertRemovable(user, email, await whoRemoves(client, options, context));
    await confirmOrCancel(context, options, `Remove ${userWords(user)}?`);
  }
  const answer = await withSpinner(context, options, "Removing the user", client.removeUser(organizationId, idUser));
  const { organizationLicenses: licenses = null, pending = null } = answer ?? {};
  const output = { email, idUser, removed: pending === null, licenses, dryRun, ...(pending && { pending }) };
  await awaitPrinting(
    print(output, options, context),
    `The user ${shorten(email)} ${pending ? "waits to be removed" : "was removed"}`,
    "See `secureflag-licenses users list --all`.",
  );
}

/** A backend without `GET /me` decides by itself who may remove whom. */
function whoRemoves(client: Pick<Client, "me">, options: RemoveUserOptions, context: Context): Promise<Me | null> {
  return withSpinner(context, options, "Checking who is signed in", knownMe(client));
}

/**
 * Refuses what the backend would refuse, before the prompt.
 *
 * @throws CliError `forbidden`, `invalid_request`
 */
function assertRemovable({ role }: User, email: string, me: Me | null): void {
  if (me === null) return;
  assertMayChange(me, [role]);
  if (emailKey(me.user.email) !== emailKey(email)) return;
  throw new CliError("invalid_request", "You cannot remove yourself", {
    hint: "Ask another administrator. Nothing was changed.",
  });
}

async function print(output: RemovedUser, options: RemoveUserOptions, context: Context): Promise<void> {
  await printResult<"users remove">(context, options, output, (view) => renderRemovedUser(output, view));
}

/** Enough for 10,000 of the longest emails. */
const MAX_LIST_BYTES = 4_000_000;

/** The emails to remove, each person once. */
async function emailsOf({ emails }: RemoveUserOptions, { io }: Context): Promise<string[]> {
  if (!emails.includes(STANDARD)) return eachOnce(emails);
  if (emails.length > 1) throw usageError("- cannot be combined with email addresses", "Pass either of them.");
  const bytes = await io.readInput(MAX_LIST_BYTES);
  if (bytes.length > MAX_LIST_BYTES) throw usageError("The list on stdin is too long", "Nothing was changed.");
  const lines = bytes
    .toString("utf8")
    .replace(/^\ufeff/, "")
    .split(/[\r\n]+/);
  return eachOnce(lines.map((line) => line.trim()).filter((line) => line !== ""));
}

function eachOnce(emails: readonly string[]): string[] {
  const keys = emails.map(emailKey);
  return emails.filter((_, index) => keys.indexOf(keys[index] ?? "") === index);
}

/** A user to remove, or why not. */
interface Removal {
  readonly email: string;
  readonly user: User | null;
  readonly failure: Error | null;
  /** The change that waits instead. */
  readonly pending: PendingChange | null;
}

async function removeSeveral(emails: readonly string[], options: RemoveUserOptions, context: Context): Promise<void> {
  const { yes, dryRun } = options;
  const { client, organizationId } = await connectToOrganization(context, options, "users");
  const users = await withSpinner(context, options, "Finding the users", readAllUsers(client, organizationId));
  const me = yes && !dryRun ? null : await whoRemoves(client, options, context);
  const removals = emails.map((email) => removalOf(email, users, me));
  const removable = removals.flatMap(({ user }) => user ?? []);
  if (!yes && !dryRun && removable.length > 0) {
    context.io.note(`${namedUsers(removable, await viewOf(context, options, "stderr"))}\n`);
    await confirmOrCancel(context, options, `Remove ${people(removable.length)}?`);
  }
  let licenses: LicenseCounts | null = null;
  const ended: Removal[] = [];
  for (const removal of removals) {
    if (dryRun || removal.user === null) {
      ended.push(removal);
      continue;
    }
    const removing = client.removeUser(organizationId, removal.user.idUser);
    const words = `Removing users: ${ended.length + 1} of ${removals.length}`;
    try {
      const answer = await withSpinner(context, options, words, removing);
      licenses = answer?.organizationLicenses ?? licenses;
      ended.push({ ...removal, pending: answer?.pending ?? null });
    } catch (error) {
      if (codeOf(error) === null || codeOf(error) === "interrupted") throw error;
      ended.push({ ...removal, failure: error as Error });
    }
  }
  if (dryRun) licenses = (await readableSubscription(client, organizationId))?.licenses ?? null;
  await conclude(ended, licenses, options, context);
}

function removalOf(given: string, users: readonly User[], me: Me | null): Removal {
  try {
    const user = findUser(users, given);
    const email = user.email ?? given;
    assertRemovable(user, email, me);
    return { email, user, failure: null, pending: null };
  } catch (error) {
    if (codeOf(error) === null) throw error;
    return { email: given, user: null, failure: error as Error, pending: null };
  }
}

/** Prints what became of each, then throws the first failure. */
async function conclude(
  ended: readonly Removal[],
  licenses: LicenseCounts | null,
  options: RemoveUserOptions,
  context: Context,
): Promise<void> {
  const { dryRun } = options;
  const results = ended.map(({ email, user, failure, pending }) => ({
    email,
    idUser: user?.idUser ?? null,
    removed: !dryRun && failure === null && pending === null,
    error: failure && { code: codeOf(failure) ?? "", message: failure.message },
    ...(pending && { pending }),
  }));
  const output: RemovedUsers = { results, licenses, dryRun };
  const printing = printResult<"users remove">(context, options, output, (view) => renderRemovedUsers(output, view));
  const removed = results.filter((result) => result.removed).length;
  const hint = "See `secureflag-licenses users list --all`.";
  await (removed === 0 ? printing : awaitPrinting(printing, `${people(removed)} removed`, hint));
  const failures = ended.flatMap(({ failure }) => failure ?? []);
  const [first] = failures;
  const code = codeOf(first);
  if (first === undefined || code === null) return;
  const message = `${failures.length} of ${people(ended.length)} ${failures.length === 1 ? "was" : "were"} not removed`;
  throw new CliError(code, `${message}: ${first.message}`, { hint, cause: first });
}
