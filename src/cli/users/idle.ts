import type { Command } from "commander";
import { IDLE_DAYS, idleCutoff, idleSince } from "../../billing/idle.ts";
import { ROLES, takesLicense } from "../../billing/roles.ts";
import { isMissing } from "../../client/missing.ts";
import type { User } from "../../contract/users.ts";
import { type Connection, connect } from "../connection/connect.ts";
import { isPublicApi } from "../connection/target.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf } from "../errors.ts";
import {
  addCommand,
  csvOption,
  type GlobalOptions,
  interruptible,
  type Run,
  readCsv,
  readGlobals,
} from "../kit/command.ts";
import { note, printResult } from "../kit/output.ts";
import { withSpinner } from "../kit/spinner.ts";
import { wholeNumber } from "../kit/values.ts";
import { isMember, readAllUsers } from "./list.ts";
import { people, renderIdleUsers, usersCsv } from "./view.ts";

/** Options of `users idle`. */
export interface IdleUsersOptions extends GlobalOptions {
  readonly days: number;
  readonly csv: boolean;
  readonly failIfAny: boolean;
}

/** How far back idle users can be asked for. */
export const MAX_IDLE_DAYS = 36_500;

/** Registers `users idle`. */
export function registerIdle(group: Command, context: Context, run: Run<IdleUsersOptions>): void {
  addCommand(group, {
    name: "idle",
    description: "List users who hold a license and have not signed in for a while",
    examples: ["users idle", "users idle --days 180 --fail-if-any"],
  })
    .option("--days <n>", `days since the last sign-in (default: ${IDLE_DAYS})`, wholeNumber(1, MAX_IDLE_DAYS))
    .option("--fail-if-any", "exit with code 7 if there are any")
    .addOption(csvOption("print CSV, with the fields of SecureFlag's API"))
    .action((flags: { days?: number; failIfAny?: boolean; csv?: boolean }, command: Command) => {
      const globals = readGlobals(command);
      const { days = IDLE_DAYS, failIfAny = false } = flags;
      return interruptible(context, () => run({ ...globals, days, failIfAny, csv: readCsv(flags, globals) }, context));
    });
}

/**
 * Prints the users who hold a license and have not signed in for some days, in the backend's order. Users who never did
 * count from when they joined or were added.
 *
 * @throws CliError `idle_users` with `--fail-if-any`, after the list was printed
 */
export async function runIdle(options: IdleUsersOptions, context: Context): Promise<void> {
  const connection = await connect(context, options, "public");
  const reading = connection.organizationId().then(async (id) => ({
    users: await readAllUsers(connection.client, id),
    now: await billingNow(connection, id, context),
  }));
  const { users, now } = await withSpinner(context, options, "Reading users", reading);
  const holders = users.filter((user) => isMember(user) && holdsLicense(user));
  const cutoff = idleCutoff(now, options.days);
  const idle = holders.filter((user) => (sinceOf(user) ?? Number.POSITIVE_INFINITY) <= cutoff);
  await printResult<"users idle">(context, options, idle, (view) =>
    options.csv
      ? usersCsv(idle)
      : renderIdleUsers(
          idle.map((user) => ({ user, last: instantOf(user.lastLogin) })),
          view,
        ),
  );
  const unknown = holders.filter((user) => sinceOf(user) === null).length;
  if (unknown > 0) {
    note(context, options, `Left out ${people(unknown)} without a date of joining or of a sign-in that can be read.`);
  }
  if (!options.failIfAny || idle.length === 0) return;
  const have = idle.length === 1 ? "has" : "have";
  throw new CliError("idle_users", `${people(idle.length)} ${have} been idle for ${options.days} days`, {
    hint: "Remove them with `secureflag-licenses users remove <email>…`, or leave out --fail-if-any.",
  });
}

/** The backend's billing clock; this machine's for a backend that only lists users. */
async function billingNow({ client, target }: Connection, organizationId: number, { clock }: Context): Promise<number> {
  if (isPublicApi(target)) return clock.now();
  try {
    return Date.parse((await client.subscription(organizationId)).asOf);
  } catch (error) {
    if (isMissing(error) || codeOf(error) === "billing_not_offered") return clock.now();
    throw error;
  }
}

function holdsLicense({ role, adminNoTraining }: User): boolean {
  return takesLicense({ role: role ?? ROLES.user, adminNoTraining: adminNoTraining ?? false });
}

function sinceOf({ joinedDateTime, addedDateTime, lastLogin }: User): number | null {
  return idleSince({
    joined: instantOf(joinedDateTime),
    added: instantOf(addedDateTime),
    lastLogin: instantOf(lastLogin),
  });
}

/** Below it, a number counts seconds: as milliseconds it would be in 1973. */
const MIN_MILLISECONDS = 1e11;

/**
 * Reads a date of a list of users, in milliseconds. The format of SecureFlag's is undocumented: numbers, ISO 8601, and
 * `Nov 22, 2024, 4:05:06 PM` were seen. Without a time zone it counts as UTC. `null` if it cannot be read.
 */
export function instantOf(date: string | number | null | undefined): number | null {
  if (date === null || date === undefined || date === "") return null;
  const number = Number(date);
  if (!Number.isNaN(number)) return number < MIN_MILLISECONDS ? number * 1000 : number;
  const text = String(date).replaceAll(/[\u00a0\u202f]/g, " ");
  const hasZone = /(?:z|gmt|utc|[+-]\d{2}:?\d{2})\)?$/i.test(text) || /^\d{4}-\d{2}-\d{2}$/.test(text);
  const at = Date.parse(hasZone ? text : `${text}${/^\d{4}-\d{2}-\d{2}T/.test(text) ? "Z" : " UTC"}`);
  return Number.isNaN(at) ? null : at;
}
