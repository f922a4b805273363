import type { PurchaseAnswer } from "../../../contract/billing.ts";
import { CliError } from "../../errors.ts";
import { instant, licenses } from "../../kit/words.ts";
import { failureReason } from "./failureWords.ts";
import { follow, hasEnded, splitAnswer } from "./follow.ts";
import type { JournalEntry } from "./journal.ts";
import type { KeySeries } from "./keys.ts";
import { type Approved, differenceFrom } from "./send.ts";
import { type Approver, type BuyRequest, type Concluded, meansTheSame, type PurchasingTools } from "./tools.ts";

const OWNER_PATIENCE_MS = 30_000;

const OWNER_POLL_MS = 500;

const SETTLED_DAYS = 7;

const DAY_MS = 86_400_000;

/** What became of a journaled purchase: it arrived, as it is now and not followed yet, or it never did. */
export type Fate = { readonly purchase: PurchaseAnswer } | { readonly purchase: null; readonly isVoid: boolean };

/** An earlier purchase that a command turns out to be, with what was approved of it. */
export interface Earlier {
  readonly purchase: PurchaseAnswer;
  readonly entry: JournalEntry;
}

/**
 * Brings what earlier commands began to an end: follows what arrived, voids what did not. An entry of another command
 * stays as settled, because that command was killed before it could print its end; after a week it goes.
 *
 * @returns the earlier purchase that this command turns out to be, or `null` where it has to go on by itself
 * @throws CliError `purchase_unsettled` where an earlier purchase cannot be brought to an end now
 */
export async function settleEarlier(
  request: BuyRequest,
  keys: KeySeries,
  approver: Approver,
  tools: PurchasingTools,
): Promise<Earlier | null> {
  const { journal, client, organizationId } = tools;
  for (const entry of await journal.entries(client.origin, organizationId)) {
    const isOurs = meansTheSame(request, entry);
    if (isOutdated(entry, tools)) journal.remove(entry.idempotencyKey);
    if (isOutdated(entry, tools) || (entry.settledAt !== null && !isOurs)) continue;
    const willResend = entry.idempotencyKey === keys.current();
    const fate = await fateOf(entry, willResend ? "keep" : "void", tools);
    if (fate === null) continue;
    if (fate.purchase === null) {
      const what = `An earlier purchase of ${licenses(entry.licenses)}`;
      tools.say(
        willResend
          ? `${what} has not arrived and may still; what is bought now has the same key, so that it is bought once.`
          : `${what} never arrived; nothing was charged for it.`,
      );
      if (fate.isVoid) journal.remove(entry.idempotencyKey);
      continue;
    }
    const purchase = await followEarlier(fate.purchase, isOurs, tools);
    if (isOurs && (await isTheAnswer(purchase, fate.purchase, keys, approver))) {
      if (entry.settledAt !== null && purchase.status === "succeeded") tools.say(boughtBefore(purchase));
      return { purchase, entry };
    }
    await concludeEarlier(purchase, entry, isOurs, tools);
    tools.setInterruption(null);
    if (willResend && keys.source === "random") keys.advance();
  }
  return null;
}

/**
 * What became of a journaled purchase, not followed yet. An entry whose owner still runs is waited for and never voided.
 *
 * @param unsent what to do with a key that never arrived: `void` spends it for ever, `keep` leaves it to be sent again
 * @returns `null` where the entry's owner brought it to an end itself
 * @throws CliError `purchase_unsettled` where the owner still runs and nothing has arrived
 */
export async function fateOf(
  entry: JournalEntry,
  unsent: "void" | "keep",
  tools: PurchasingTools,
): Promise<Fate | null> {
  const { client, organizationId, journal } = tools;
  const key = entry.idempotencyKey;
  const look = () => tools.busy("Looking at an earlier purchase", client.purchaseByKey(organizationId, key));
  if (await journal.ownerRuns(entry)) {
    // An owner that waits for a person may do so for minutes, and is not in the way.
    const early = await look();
    if (early.state === "known" && early.purchase.status === "requires_approval") return { purchase: early.purchase };
  }
  const owner = await waitForOwner(entry, tools);
  if (owner === "finished") return null;
  const answer = await look();
  if (answer.state === "known") return { purchase: answer.purchase };
  if (owner === "running") throw stillRunning(entry);
  if (answer.state === "unknown" && unsent === "keep") return { purchase: null, isVoid: false };
  const voiding = answer.state === "unknown" ? client.voidKey(organizationId, key) : null;
  const arrived = voiding && (await tools.busy("Making sure that it never arrives", voiding));
  return arrived === null ? { purchase: null, isVoid: true } : { purchase: arrived };
}

/** Another command's purchase that waits for a person blocks nothing (details.md, 1). */
function followEarlier(begun: PurchaseAnswer, isOurs: boolean, tools: PurchasingTools): Promise<PurchaseAnswer> {
  if (!isOurs) return follow(begun, { ...tools, waitSeconds: 0 });
  if (begun.status === "requires_approval") {
    tools.say(`The same command was begun before; this goes on with its purchase ${begun.id}.`);
  }
  return follow(begun, tools);
}

/**
 * Whether an earlier purchase of the same meaning is what this command is to show, and not to repeat. One that a person
 * had in hand when it was found is, however it ended: whoever says no to it does not ask for another one.
 *
 * @param begun the purchase as it was found
 */
async function isTheAnswer(
  purchase: PurchaseAnswer,
  begun: PurchaseAnswer,
  keys: KeySeries,
  approver: Approver,
): Promise<boolean> {
  if (begun.status === "requires_approval") return true;
  if (purchase.status === "failed") return keys.source === "explicit";
  if (purchase.status !== "succeeded" || keys.source === "explicit") return true;
  if (!(await approver.buyAgain(purchase))) return true;
  if (keys.source === "ci" && purchase.idempotencyKey === keys.current()) keys.advance();
  return false;
}

/**
 * The purchase that an earlier run of a command made before it was killed, for the run that finds its work done: what
 * was bought is shown once (details.md, 1). Not finding out is no failure of what was done.
 */
export async function madeBefore(request: BuyRequest, tools: PurchasingTools): Promise<Concluded | null> {
  const { journal, client, organizationId } = tools;
  try {
    for (const entry of await journal.entries(client.origin, organizationId)) {
      if (!meansTheSame(request, entry) || (await journal.ownerRuns(entry))) continue;
      const answer = await client.purchaseByKey(organizationId, entry.idempotencyKey);
      if (answer.state !== "known" || answer.purchase.status !== "succeeded") continue;
      const result = { ...splitAnswer(answer.purchase), quote: null, replayed: true, dryRun: false };
      return { result, endedKey: entry.idempotencyKey, failure: null };
    }
    return null;
  } catch {
    return null;
  }
}

/** Whether an entry was settled so long ago that its command is not run again because it was killed. */
function isOutdated({ settledAt }: JournalEntry, { clock }: PurchasingTools): boolean {
  return settledAt !== null && clock.now() - Date.parse(settledAt) > SETTLED_DAYS * DAY_MS;
}

function boughtBefore({ id, licenses: count, createdAt }: PurchaseAnswer): string {
  return `This command bought ${licenses(count)} on ${instant(createdAt)}, as ${id}. Nothing more was bought.`;
}

/**
 * Names what an earlier command did. Its entry goes where this is the same command, or where a target decides again what
 * is missing; else it stays as settled.
 */
async function concludeEarlier(
  purchase: PurchaseAnswer,
  entry: JournalEntry,
  isOurs: boolean,
  tools: PurchasingTools,
): Promise<void> {
  const difference = differenceFrom(approvedBy(entry), purchase);
  if (difference !== null) {
    tools.say(`${difference.message}. ${difference.hint}`);
    return;
  }
  if (purchase.status === "processing") {
    throw new CliError("purchase_unsettled", `An earlier purchase, ${purchase.id}, is still being processed`, {
      hint: "Running the same command again is safe; so is `secureflag-licenses purchases resume`.",
    });
  }
  const what = `An earlier purchase of ${licenses(entry.licenses)}, ${purchase.id},`;
  if (!hasEnded(purchase)) {
    const state = purchase.status === "requires_approval" ? "still waits for approval" : "is being reviewed";
    tools.say(`${what} ${state}; follow it with \`secureflag-licenses purchases resume\`.`);
    return;
  }
  if (!(isOurs && purchase.status === "succeeded")) {
    tools.say(
      purchase.status === "succeeded" ? `${what} succeeded.` : `${what} failed: ${failureReason(purchase.failure)}`,
    );
  }
  if (isOurs || entry.target !== null) tools.journal.remove(entry.idempotencyKey);
  else tools.journal.settle(entry, new Date(tools.clock.now()).toISOString());
}

/** What a command had approved when it wrote its journal entry. */
export function approvedBy({ licenses, total, purchaseOrder, note }: JournalEntry): Approved {
  return { licenses, total, purchaseOrder, note };
}

async function waitForOwner(entry: JournalEntry, tools: PurchasingTools): Promise<"gone" | "running" | "finished"> {
  const { journal, clock, client, organizationId } = tools;
  const end = clock.monotonic() + OWNER_PATIENCE_MS;
  for (let looks = 0; ; looks += 1) {
    const runs = await journal.ownerRuns(entry);
    // Looked at after the owner, so that one that has just ended is not taken for one that was killed.
    const entries = await journal.entries(client.origin, organizationId);
    if (!entries.some(({ idempotencyKey }) => idempotencyKey === entry.idempotencyKey)) return "finished";
    if (!runs) return "gone";
    if (clock.monotonic() >= end) return "running";
    if (looks === 0) tools.say(`Another command, process ${entry.owner.pid}, is still buying; waiting for it.`);
    await tools.busy("Waiting for the other purchase", clock.sleep(OWNER_POLL_MS));
  }
}

function stillRunning({ owner }: JournalEntry): CliError {
  return new CliError("purchase_unsettled", `Another secureflag-licenses, process ${owner.pid}, is still buying`, {
    hint: "Wait for it to end; running the same command again is safe.",
  });
}
