import { Argument, type Command } from "commander";
import { updatedTraining } from "../../billing/roles.ts";
import type { SyncedUser, SyncUsersAnswer } from "../../contract/users.ts";
import { type Buying, connectBuying } from "../buying/buying.ts";
import { addBuyMissingOptions, type BuyMissingOptions } from "../buying/options.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf } from "../errors.ts";
import { addCommand, interruptible, type Run, readGlobals } from "../kit/command.ts";
import { printResult, viewOf } from "../kit/output.ts";
import { confirmOrCancel, promptsAllowed } from "../kit/prompt.ts";
import { someText, wholeNumber } from "../kit/values.ts";
import type { Output } from "../outputs.ts";
import {
  addingOutput,
  addWithLicenses,
  concludeAdding,
  type MissingFlags,
  noteStrategy,
  readMissing,
} from "./adding.ts";
import { SYNCED, type UsersCsv } from "./csvUsers.ts";
import { pricedWords, rehearseLicenses } from "./shortage.ts";
import { renderPlan, renderSyncedUsers } from "./syncView.ts";
import { checkedCsv, withLines } from "./usersFile.ts";
import { people } from "./view.ts";

/** Options of `users sync`. */
export interface SyncUsersOptions extends BuyMissingOptions {
  /** A path, or `-` for stdin. */
  readonly file: string;
  /** Whether users who are not in the file are removed. */
  readonly remove: boolean;
  readonly maxRemovals: number;
}

interface SyncFlags extends MissingFlags {
  readonly remove?: boolean;
  readonly maxRemovals?: number;
}

const MAX_REMOVALS = 5;

const SYNC_HELP = `
The file is that of \`users import\`. Users who are missing in
the organization are added, and roles become those of the
file. An empty column changes nothing. Names are not
compared, and only new users need them. All of it is done or
nothing. You and the last administrator are neither removed
nor demoted.`;

/** Registers `users sync`. */
export function registerSync(group: Command, context: Context, run: Run<SyncUsersOptions>): void {
  const command = addCommand(group, {
    name: "sync",
    description: "Make the users those of a CSV file, all or none",
    examples: ["users sync users.csv --remove --dry-run", "users sync users.csv --remove --max-removals 20"],
  })
    .addArgument(new Argument("<csv>", "file of everyone who should be there; - for stdin").argParser(someText))
    .option("--remove", "remove users who are not in the file")
    .option("--max-removals <n>", `stop if more users would be removed (default: ${MAX_REMOVALS})`, wholeNumber(0));
  addBuyMissingOptions(command)
    .addHelpText("after", SYNC_HELP)
    .action((file: string, flags: SyncFlags, command: Command) => {
      const { remove = false, maxRemovals = MAX_REMOVALS } = flags;
      const options = { ...readGlobals(command), ...readMissing(flags), file, remove, maxRemovals };
      return interruptible(context, () => run(options, context));
    });
}

/** What a sync works with. */
interface Syncing {
  readonly options: SyncUsersOptions;
  readonly context: Context;
  readonly buying: Buying;
  readonly csv: UsersCsv<SyncedUser>;
}

/**
 * Makes the users of the organization those of a CSV file, as one change, and prints what was changed. The plan is shown
 * first, and in a terminal confirmed.
 *
 * @throws CliError `users_file_invalid` and `empty_file` before any request; `too_many_removals`, `users_changed`,
 *   `declined_by_person` with nothing changed; otherwise as `users add`
 */
export async function runSync(options: SyncUsersOptions, context: Context): Promise<void> {
  const csv = await checkedCsv(options, context, SYNCED, emptyFile);
  const buying = await connectBuying(options, context, "users");
  const syncing = { options, context, buying, csv };
  let plan = await makePlan(syncing);
  if (options.dryRun) return await rehearse(plan, syncing);
  await approve(plan, syncing);
  const applying = async () => {
    for (let round = 1; ; round += 1) {
      if (isEmpty(plan, options)) return plan;
      try {
        return await send(syncing, plan.plan);
      } catch (error) {
        if (codeOf(error) !== "users_changed" || round === MAX_ROUNDS) throw error;
      }
      buying.tools.say("The users changed in the meantime. Planning again.");
      plan = await makePlan(syncing);
      await approve(plan, syncing);
    }
  };
  const ended = await addWithLicenses(applying, neededBy, options, context, buying);
  const output = { ...outputOf(ended.answer === null ? null : plan, syncing), ...addingOutput(ended) };
  await concludeAdding(ended, buying, options, context, () => print(output, syncing));
  if (output.added.length > 0) noteStrategy(context, options, output);
}

const MAX_ROUNDS = 3;

function emptyFile(): CliError {
  return new CliError("empty_file", "The file has no users", {
    hint: "Nothing was changed. To remove users, name them: `secureflag-licenses users remove <email>…`.",
  });
}

/** Plans, or with the plan's name applies it. */
async function send({ options, buying: { connection, tools }, csv }: Syncing, plan?: string): Promise<SyncUsersAnswer> {
  const list = { users: [...csv.users], remove: options.remove, ...(plan !== undefined && { plan }) };
  const answer = connection.client.syncUsers(tools.organizationId, list).catch((error: unknown) => {
    throw withLines(error, csv);
  });
  return await tools.busy(plan === undefined ? "Comparing users" : "Changing users, all or none", answer);
}

/** @throws CliError `too_many_removals`, after the plan was shown */
async function makePlan(syncing: Syncing): Promise<SyncUsersAnswer> {
  const { remove, maxRemovals } = syncing.options;
  const plan = await send(syncing);
  const { count } = plan.missing;
  if (!remove || count <= maxRemovals) return plan;
  await show(plan, syncing);
  throw new CliError(
    "too_many_removals",
    `${people(count)} would be removed, more than --max-removals ${maxRemovals}`,
    {
      hint: `Nothing was changed. Check the file, or pass --max-removals ${count}.`,
    },
  );
}

function neededBy({ neededLicenses }: SyncUsersAnswer): number {
  return Math.max(0, neededLicenses);
}

function isEmpty({ added, changed, missing }: SyncUsersAnswer, { remove }: SyncUsersOptions): boolean {
  return added.length + changed.length + (remove ? missing.count : 0) === 0;
}

/** Shows a plan on stderr, and in a terminal asks for a yes. */
async function approve(plan: SyncUsersAnswer, syncing: Syncing): Promise<void> {
  const { options, context } = syncing;
  if (isEmpty(plan, options)) return;
  await show(plan, syncing);
  if (options.yes || !promptsAllowed(context, options)) return;
  await confirmOrCancel(context, options, "Make these changes?");
}

async function show(plan: SyncUsersAnswer, syncing: Syncing): Promise<void> {
  const { options, context, buying } = syncing;
  const isAsked = !options.yes && promptsAllowed(context, options);
  if (!isAsked && (options.json || options.quiet)) return;
  const missing = neededBy(plan) - Math.max(0, plan.organizationLicenses.available);
  const price = missing > 0 ? await pricedWords(missing, buying.tools) : null;
  const planned = { ...outputOf(plan, syncing), price, needed: plan.neededLicenses, removes: options.remove };
  context.io.note(`${renderPlan(planned, await viewOf(context, options, "stderr"))}\n`);
}

async function rehearse(plan: SyncUsersAnswer, syncing: Syncing): Promise<void> {
  const { options, context, buying } = syncing;
  const { licenses, quote } = await rehearseLicenses(neededBy(plan), options, context, buying).catch(
    async (error: unknown) => {
      if (codeOf(error) === "no_license_available") await show(plan, syncing);
      throw error;
    },
  );
  const output = { ...outputOf(plan, syncing), purchase: null, licenses, dryRun: true, ...(quote && { quote }) };
  await print(output, syncing);
}

/** What a plan changes, by email; nothing without a plan. */
function outputOf(plan: SyncUsersAnswer | null, { options, csv }: Syncing) {
  const userAt = (position: number) => csv.users[position] as SyncedUser;
  const changed = (plan?.changed ?? []).map(({ position, idUser, ...from }) => {
    const user = userAt(position);
    return { email: user.email, idUser, from, to: updatedTraining(from, user) };
  });
  return {
    added: (plan?.added ?? []).map((position) => userAt(position).email),
    changed,
    removed: options.remove ? (plan?.missing.users ?? []) : [],
    missing: plan?.missing.count ?? 0,
    kept: plan?.kept ?? [],
  };
}

async function print(output: Output<"users sync">, { options, context }: Syncing): Promise<boolean> {
  return await printResult<"users sync">(context, options, output, (view) =>
    renderSyncedUsers(output, options.remove, view),
  );
}
