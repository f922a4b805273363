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

/** What became of a journaled purchase: the purchase, not followed yet, or `null` if it never arrived. */
export type Outcome = { readonly purchase: PurchaseAnswer } | { readonly purchase: null; readonly isVoid: boolean };

/** An earlier purchase that a command repeats, with its journal entry. */
export interface Earlier {
  readonly purchase: PurchaseAnswer;
  readonly entry: JournalEntry;
}

/**
 * Settles what earlier commands began: follows what arrived, voids what did not. An entry of another command is kept as
 * settled for a week, because that command was killed before it could print its result.
 *
 * @returns the earlier purchase that this command repeats, or `null` if there is none
 * @throws CliError `purchase_unsettled` if an earlier purchase cannot be settled now
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
    const outcome = await outcomeOf(entry, willResend ? "keep" : "void", tools);
    if (outcome === null) continue;
    if (outcome.purchase === null) {
      const what = `An earlier purchase of ${licenses(entry.licenses)}`;
      tools.say(
        willResend
          ? `${what} has not arrived yet. This purchase uses the same key, so it is made only once.`
          : `${what} never arrived. Nothing was charged for it.`,
      );
      if (outcome.isVoid) journal.remove(entry.idempotencyKey);
      continue;
    }
    const purchase = await followEarlier(outcome.purchase, isOurs, tools);
    if (isOurs && (await shouldShow(purchase, outcome.purchase, keys, approver))) {
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
 * Finds what became of a journaled purchase. Waits for an owner that still runs, and never voids its entry.
 *
 * @param unsent what to do with a key that never arrived: `void` makes it unusable forever, `keep` leaves it to be sent again
 * @returns `null` if the entry's owner settled it itself
 * @throws CliError `purchase_unsettled` if the owner still runs and nothing has arrived
 */
export async function outcomeOf(
  entry: JournalEntry,
  unsent: "void" | "keep",
  tools: PurchasingTools,
): Promise<Outcome | null> {
  const { client, organizationId, journal } = tools;
  const key = entry.idempotencyKey;
  const look = () => tools.busy("Looking at an earlier purchase", client.purchaseByKey(organizationId, key));
  if (await journal.ownerRuns(entry)) {
    // An owner that waits for approval may do so for minutes; do not wait for it.
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
  const arrived = voiding && (await tools.busy("Voiding the earlier purchase", voiding));
  return arrived === null ? { purchase: null, isVoid: true } : { purchase: arrived };
}

/** Does not wait for the approval of another command's purchase. */
function followEarlier(begun: PurchaseAnswer, isOurs: boolean, tools: PurchasingTools): Promise<PurchaseAnswer> {
  if (!isOurs) return follow(begun, { ...tools, waitSeconds: 0 });
  if (begun.status === "requires_approval") {
    tools.say(`This command was started before. Continuing with its purchase ${begun.id}.`);
  }
  return follow(begun, tools);
}

/**
 * Whether this command shows an earlier purchase of the same meaning instead of buying again. Always one that was waiting
 * for approval: a person who cancels it does not ask for another one.
 *
 * @param begun the purchase as it was found
 */
async function shouldShow(
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
 * Finds the purchase that an earlier run of a command made before it was killed, so that it is shown once. Never fails:
 * the command's own work is done.
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

/** Whether an entry was settled so long ago that its command is not expected to be run again. */
function isOutdated({ settledAt }: JournalEntry, { clock }: PurchasingTools): boolean {
  return settledAt !== null && clock.now() - Date.parse(settledAt) > SETTLED_DAYS * DAY_MS;
}

function boughtBefore({ id, licenses: count, createdAt }: PurchaseAnswer): string {
  return `This command bought ${licenses(count)} on ${instant(createdAt)}, as ${id}. Nothing more was bought.`;
}

/**
 * Reports what an earlier command did. Removes its entry if this is the same command, or if a target decides anew what is
 * missing; else keeps it as settled.
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
    const state = purchase.status === "requires_approval" ? "is still waiting for approval" : "is being reviewed";
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

/** What was approved when a journal entry was written. */
export function approvedBy({ licenses, total, purchaseOrder, note }: JournalEntry): Approved {
  return { licenses, total, purchaseOrder, note };
}

async function waitForOwner(entry: JournalEntry, tools: PurchasingTools): Promise<"gone" | "running" | "finished"> {
  const { journal, clock, client, organizationId } = tools;
  const end = clock.monotonic() + OWNER_PATIENCE_MS;
  for (let looks = 0; ; looks += 1) {
    const runs = await journal.ownerRuns(entry);
    // Read after the owner, so that one that has just ended is not taken for one that was killed.
    const entries = await journal.entries(client.origin, organizationId);
    if (!entries.some(({ idempotencyKey }) => idempotencyKey === entry.idempotencyKey)) return "finished";
    if (!runs) return "gone";
    if (clock.monotonic() >= end) return "running";
    if (looks === 0)
      tools.say(`Waiting for another secureflag-licenses (process ${entry.owner.pid}) to finish buying.`);
    await tools.busy("Waiting for the other purchase", clock.sleep(OWNER_POLL_MS));
  }
}

function stillRunning({ owner }: JournalEntry): CliError {
  return new CliError("purchase_unsettled", `Another secureflag-licenses (process ${owner.pid}) is still buying`, {
    hint: "Wait for it to finish. Running the same command again is safe.",
  });
}
