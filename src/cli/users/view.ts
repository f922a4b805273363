import { InvalidArgumentError } from "commander";
import { ROLES, roleName } from "../../billing/roles.ts";
import { ASSIGNMENT_STRATEGIES, type AssignmentStrategy } from "../../contract/constants.ts";
import type { PendingChange } from "../../contract/policy.ts";
import { listedUserSchema, type User } from "../../contract/users.ts";
import { renderBuyResult } from "../buying/purchaseView.ts";
import { type Cell, toCsv } from "../kit/csv.ts";
import type { View } from "../kit/output.ts";
import { type Column, columns, fields, list } from "../kit/table.ts";
import { clean } from "../kit/text.ts";
import { counts, waitsFor } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import type { Output } from "../outputs.ts";
import type { RemovedUser, RemovedUsers } from "./outputs.ts";

const ROLE_NUMBERS: ReadonlyMap<string, number> = new Map([
  ["administrator", ROLES.organizationAdministrator],
  ["manager", ROLES.manager],
  ["statistics", ROLES.statistics],
  ["creator", ROLES.creator],
  ["threatcanvas-reviewer", ROLES.threatCanvasReviewer],
  ["user", ROLES.user],
]);

/** The roles that a user may be given, as typed on the command line (src/contract/README.md, Users). */
export const ROLE_WORDS: readonly string[] = [...ROLE_NUMBERS.keys()];

/** The assignment strategies, as typed on the command line. */
export const STRATEGY_WORDS: readonly string[] = ASSIGNMENT_STRATEGIES.map(strategyWord);

/** `initial-plan` for `INITIAL_PLAN`. */
export function strategyWord(strategy: AssignmentStrategy): string {
  return strategy.toLowerCase().replaceAll("_", "-");
}

/** Parses a role: its word in any case, or its number. `null` for anything else. */
export function roleNumber(text: string): number | null {
  const number = [...ROLE_NUMBERS.values()].find((role) => String(role) === text);
  return number ?? ROLE_NUMBERS.get(text.toLowerCase()) ?? null;
}

/** Parses the role of a flag. */
export function roleParser(text: string): number {
  const number = roleNumber(text);
  if (number !== null) return number;
  throw new InvalidArgumentError(`It must be one of ${ROLE_WORDS.join(", ")}.`);
}

/** Parses an assignment strategy: `initial-plan`, or `INITIAL_PLAN` as in the contract. `null` for anything else. */
export function strategyNamed(text: string): AssignmentStrategy | null {
  const name = text.toUpperCase().replaceAll("-", "_");
  return ASSIGNMENT_STRATEGIES.find((strategy) => strategy === name) ?? null;
}

const MAX_NAMED = 20;

/** The fields of SecureFlag's own lists. */
const COLUMNS = (Object.keys(listedUserSchema.shape) as (keyof User)[]).filter((name) => name !== "addedDateTime");

const LIST: readonly Column[] = [
  { head: "Name", cutTo: 20 },
  { head: "Email", cutTo: 30 },
  { head: "Role", cutTo: 13 },
  { head: "Status" },
];

/**
 * Renders users as a table, on a terminal with a total.
 *
 * @param hasMore whether the organization has users beyond these
 */
export function renderUsers(users: readonly User[], view: View, hasMore = false): string {
  if (users.length === 0) return "No users.";
  const lines = users.map((user) => [nameOf(user), emailOf(user), roleWords(user), statusOf(user)]);
  const table = list(LIST, lines, view);
  // Off a terminal there are only the records.
  if (table !== null && !Number.isFinite(view.width)) return table;
  return `${table ?? blocks(users, view)}\n\nTotal: ${people(users.length)}${hasMore ? " shown" : ""}.`;
}

/** A list for narrow terminals: more lines per user, wrapped and never cut. */
function blocks(users: readonly User[], view: View): string {
  const rows = users.map((user) => [
    [nameOf(user), emailOf(user)].filter((line) => line !== "").join("\n"),
    roleWords(user),
    statusOf(user),
  ]);
  return columns(["User", "Role", "Status"], rows, [33, 14, 9], view);
}

const IDLE_LIST: readonly Column[] = [
  { head: "Name", cutTo: 20 },
  { head: "Email", cutTo: 30 },
  { head: "Role", cutTo: 13 },
  { head: "Last sign-in" },
];

/** Renders idle users with their last sign-in in milliseconds, `null` for none, as a table with a total. */
export function renderIdleUsers(idle: readonly { user: User; last: number | null }[], view: View): string {
  if (idle.length === 0) return "No idle users.";
  const lastOf = (last: number | null) => (last === null ? "never" : new Date(last).toISOString().slice(0, 10));
  const lines = idle.map(({ user, last }) => [nameOf(user), emailOf(user), roleWords(user), lastOf(last)]);
  const table = list(IDLE_LIST, lines, view);
  if (table !== null && !Number.isFinite(view.width)) return table;
  const rows = idle.map(({ user, last }) => [
    `${nameOf(user)}\n${emailOf(user)}`.trim(),
    roleWords(user),
    lastOf(last),
  ]);
  const drawn = table ?? columns(["User", "Role", "Last sign-in"], rows, [30, 14, 12], view);
  return `${drawn}\n\nTotal: ${people(idle.length)}.`;
}

function statusOf({ status }: User): string {
  return clean(status ?? "").toLowerCase();
}

/** Renders users as CSV, with the fields of SecureFlag's public API; organization and team by name. */
export function usersCsv(users: readonly User[]): string {
  return toCsv(
    COLUMNS,
    users.map((user) => COLUMNS.map((column) => cellOf(user[column]))),
  );
}

function cellOf(value: User[keyof User] = null): Cell {
  return typeof value === "object" && value !== null ? value.name : value;
}

/** Describes a user in a sentence: `ada@northwind.example (Ada Admin, team manager)`. */
export function userWords(user: Pick<User, "email" | "firstName" | "lastName" | "role" | "adminNoTraining">): string {
  const about = [nameOf(user), roleWords(user)].filter((part) => part !== "").join(", ");
  return `${clean(user.email ?? "")}${about === "" ? "" : ` (${about})`}`;
}

function nameOf({ firstName, lastName }: Pick<User, "firstName" | "lastName">): string {
  return clean(`${firstName ?? ""} ${lastName ?? ""}`).trim();
}

function emailOf({ email, username, idUser }: User): string {
  return clean(email ?? username ?? `number ${idUser}`);
}

function roleWords({ role, adminNoTraining }: Pick<User, "role" | "adminNoTraining">): string {
  return role === null ? "" : `${roleName(role)}${adminNoTraining ? ", no training" : ""}`;
}

/** Renders the result of `users add`. */
export function renderAddedUser(output: Output<"users add">, view: View): string {
  const { user, dryRun, pending } = output;
  if (pending) return ended(output, waitingText(pending, view), view);
  if (user === null) return boughtAs(output, view);
  const sentence = `${dryRun ? "Dry run: would add" : "Added"} ${userWords(user)}.`;
  return ended(output, dryRun ? wrap(sentence, view.width) : view.style.green(wrap(sentence, view.width)), view);
}

/** Says that nothing is changed yet, and what the change waits for. */
function waitingText(pending: PendingChange, { width }: View): string {
  return wrap(`Nothing was changed yet, because the organization has a policy. ${waitsFor(pending)}`, width);
}

/** Renders the result of `users import`. */
export function renderImportedUsers(output: Output<"users import">, view: View): string {
  const { added, existing, dryRun } = output;
  if (added.length + existing.length === 0) return boughtAs(output, view);
  const sentence = `${dryRun ? "Dry run: would add" : "Added"} ${added.length === 0 ? "no users" : people(added.length)}.`;
  const lines = [dryRun ? sentence : view.style.green(sentence), ...existingLines(existing, view)];
  return ended(output, lines.join("\n"), view);
}

function existingLines(existing: readonly string[], { width }: View): string[] {
  if (existing.length === 0) return [];
  const were = existing.length === 1 ? "was" : "were";
  const more = existing.length - MAX_NAMED;
  return [
    wrap(`${people(existing.length)} already existed and ${were} left alone:`, width),
    ...existing.slice(0, MAX_NAMED).map((email) => `  ${clean(email)}`),
    ...(more > 0 ? [`  and ${more.toLocaleString("en-US")} more`] : []),
  ];
}

/** `1 user`, `10,000 users`. */
export function people(count: number): string {
  return `${count.toLocaleString("en-US")} ${count === 1 ? "user" : "users"}`;
}

/** The output of adding users, without the users. */
type AddedOutput = Pick<Output<"users add">, "purchase" | "earlierPurchases" | "licenses" | "quote" | "dryRun">;

/** Renders the purchases, then the sentence, then the counts of now. */
export function ended(output: AddedOutput, sentence: string, view: View): string {
  const { licenses: now, purchase, quote } = output;
  const facts = now && fields([["Licenses now", counts(now)]], view);
  const buying = purchase || quote ? boughtAs({ ...output, licenses: null }, view) : null;
  return [buying, buying && "", sentence, facts].filter((part) => part !== null).join("\n");
}

/** Renders the purchases of a command that changes users. */
export function boughtAs(
  { purchase, earlierPurchases, licenses: now, quote, dryRun }: AddedOutput,
  view: View,
): string {
  const about = { quote: quote ?? null, replayed: false, dryRun };
  const earlier = (earlierPurchases ?? []).map((made) => ({ purchase: made, licenses: null, ...about }));
  const all = [...earlier, { purchase, licenses: now, ...about }];
  return all.map((result) => renderBuyResult(result, view, { command: "users" })).join("\n\n");
}

/** Renders the result of `users remove`. */
export function renderRemovedUser({ email, licenses: now, dryRun, pending }: RemovedUser, view: View): string {
  const facts = now && fields([["Licenses now", counts(now)]], view);
  if (pending) return [waitingText(pending, view), facts].filter((part) => part !== null).join("\n");
  const sentence = dryRun ? `Dry run: would remove ${clean(email)}.` : removal(clean(email), now !== null);
  return [wrap(sentence, view.width), facts].filter((part) => part !== null).join("\n");
}

/** After a lost answer it is not known who removed the user. */
function removal(email: string, isKnown: boolean): string {
  if (isKnown) return `Removed ${email}.`;
  return `${email} is no longer a user. An answer was lost, so someone else may have removed them.`;
}

/** Renders what became of several users to remove. */
export function renderRemovedUsers({ results, licenses: now, dryRun }: RemovedUsers, view: View): string {
  if (results.length === 0) return "No users to remove.";
  const lines = results.map(({ email, error, pending }) => {
    if (pending) return wrap(`Not removed yet: ${clean(email)}. ${waitsFor(pending)}`, view.width);
    if (error) return view.style.red(wrap(`Not removed: ${clean(email)}: ${clean(error.message)}`, view.width));
    return wrap(`${dryRun ? "Dry run: would remove" : "Removed"} ${clean(email)}.`, view.width);
  });
  return [...lines, ...(now ? [fields([["Licenses now", counts(now)]], view)] : [])].join("\n");
}

/** Lists users by name for a question; of many, the first 20. */
export function namedUsers(users: readonly User[], { width }: View): string {
  const more = users.length - MAX_NAMED;
  const lines = users.slice(0, MAX_NAMED).map((user) => wrap(`  ${userWords(user)}`, width));
  return [...lines, ...(more > 0 ? [`  and ${more.toLocaleString("en-US")} more`] : [])].join("\n");
}

/** Renders the result of `users update`. */
export function renderUpdatedUser(output: Output<"users update">, view: View): string {
  const { email, from, role, dryRun, licenses: now, pending } = output;
  const before = from === null ? "" : `${roleName(from)} → `;
  const change = from === role ? `${roleName(role)} already` : `${before}${roleName(role)}`;
  const sentence = pending
    ? waitingText(pending, view)
    : wrap(`${dryRun ? "Dry run: " : ""}${clean(email)}: ${change}.`, view.width);
  return [sentence, ...(now ? [fields([["Licenses now", counts(now)]], view)] : [])].join("\n");
}
