import { roleName } from "../../billing/roles.ts";
import type { View } from "../kit/output.ts";
import { clean } from "../kit/text.ts";
import { licenses } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import type { Output } from "../outputs.ts";
import { boughtAs, ended, people } from "./view.ts";

type Synced = Output<"users sync">;

/** The users that a plan is about. */
type PlannedUsers = Pick<Synced, "added" | "changed" | "removed" | "missing" | "kept">;

/** A plan before it is carried out. */
export interface Planned extends PlannedUsers {
  /** The licenses that are taken less those that are freed. */
  readonly needed: number;
  /** Which licenses are missing and what they cost; `null` if none is. */
  readonly price: string | null;
  readonly removes: boolean;
}

/** Renders a plan: who is added, changed and removed, and what it costs. */
export function renderPlan(planned: Planned, view: View): string {
  const { needed, price, removes } = planned;
  const balance =
    needed > 0 ? `${licenses(needed)} needed.` : needed < 0 ? `${licenses(-needed)} freed.` : "No licenses needed.";
  return [
    ...planLines(planned, removes, view),
    wrap(price === null ? balance : `${balance} ${price}.`, view.width),
  ].join("\n");
}

/** Renders the result of `users sync`. */
export function renderSyncedUsers(output: Synced, removes: boolean, view: View): string {
  const { added, changed, removed, missing, dryRun, licenses: now, purchase } = output;
  const count = added.length + changed.length + (removes ? missing : 0);
  if (count === 0 && purchase !== null) return boughtAs({ ...output, licenses: now }, view);
  const lines = planLines(output, removes, view);
  if (count === 0)
    return ended(output, ["Nothing to change: the users are those of the file.", ...lines].join("\n"), view);
  const done = [
    ...(added.length > 0 ? [`${dryRun ? "add" : "added"} ${people(added.length)}`] : []),
    ...(changed.length > 0 ? [`${dryRun ? "change" : "changed"} ${people(changed.length)}`] : []),
    ...(removed.length > 0 ? [`${dryRun ? "remove" : "removed"} ${people(missing)}`] : []),
  ].join(", ");
  const sentence = dryRun ? `Dry run: would ${done}.` : `${done.charAt(0).toUpperCase()}${done.slice(1)}.`;
  const shown = wrap(sentence, view.width);
  return ended(output, [...lines, dryRun ? shown : view.style.green(shown)].join("\n"), view);
}

const MAX_NAMED = 20;

function planLines({ added, changed, removed, missing, kept }: PlannedUsers, removes: boolean, view: View): string[] {
  const { style, width } = view;
  const line = (sign: string, text: string) => wrap(`${sign} ${text}`, width);
  const stay = removes || missing === 0 ? [] : [wrap(staying(missing), width)];
  return [
    ...named(
      added.map((email) => style.green(line("+", clean(email)))),
      added.length,
    ),
    ...named(
      changed.map((change) => style.yellow(line("~", `${clean(change.email)}: ${changeWords(change)}`))),
      changed.length,
    ),
    ...named(
      removed.map(({ email }) => style.red(line("−", clean(email)))),
      removes ? missing : 0,
    ),
    ...kept.map(({ email, reason }) => wrap(`Kept as they are: ${clean(email)}, ${REASONS[reason]}.`, width)),
    ...stay,
  ];
}

const REASONS = { caller: "who runs this command", last_administrator: "the last administrator" };

function staying(count: number): string {
  const are = count === 1 ? "is" : "are";
  return `${people(count)} ${are} not in the file and ${count === 1 ? "stays" : "stay"}; --remove would remove ${count === 1 ? "this one" : "them"}.`;
}

function named(lines: readonly string[], count: number): string[] {
  const more = count - Math.min(lines.length, MAX_NAMED);
  return [...lines.slice(0, MAX_NAMED), ...(more > 0 ? [`  and ${more.toLocaleString("en-US")} more`] : [])];
}

function changeWords({ from, to }: Synced["changed"][number]): string {
  const words = ({ role, adminNoTraining }: typeof from) =>
    `${roleName(role)}${adminNoTraining ? ", no training" : ""}`;
  return `${words(from)} → ${words(to)}`;
}
