import type { LicenseCounts } from "../../../contract/basics.ts";
import type { Purchase, PurchaseAnswer } from "../../../contract/billing.ts";
import type { InterruptionNote } from "../../context.ts";
import { codeOf, ERRORS } from "../../errors.ts";
import { addressText } from "../../kit/links.ts";
import { administratorInvitation, awaitsAdministrator, failureReason } from "./failureWords.ts";
import type { PurchasingTools } from "./tools.ts";

const SETTLING_MS = 60_000;

const MIN_PAUSE_MS = 500;

const MAX_PAUSE_MS = 2_000;

const MAX_HOLD_SECONDS = 20;

/** The tools that following needs. */
export type FollowTools = Pick<
  PurchasingTools,
  "client" | "organizationId" | "clock" | "waitSeconds" | "say" | "busy" | "setInterruption" | "showPage" | "reach"
>;

/** What an open purchase waits for: its payment to settle, or a person, on the payment page or to approve it. */
type Awaited = "settling" | "person";

/** When following ends: at the first end, or only when the purchase can no longer be paid. */
export type FollowUntil = "ended" | "unpayable";

/** A purchase as it is printed: with `refund` only if money was refunded, and with `approval` only if it needs or has one. */
export function asPrinted({ refund, approval, ...purchase }: Purchase): Purchase {
  return { ...purchase, ...(approval && { approval }), ...(refund && { refund }) };
}

/** Separates a purchase, as it is printed, from the organization's license counts. */
export function splitAnswer(answer: PurchaseAnswer): { purchase: Purchase; licenses: LicenseCounts } {
  const { organizationLicenses, ...purchase } = answer;
  return { purchase: asPrinted(purchase), licenses: organizationLicenses };
}

/**
 * The number of licenses purchased after a purchase; `null` unless it succeeded and the count now is the count before plus
 * its own licenses.
 */
export function licensesAfter(purchase: PurchaseAnswer, purchasedBefore: number | null): number | null {
  const { kind, status, licenses, organizationLicenses } = purchase;
  if (kind !== "purchase" || status !== "succeeded" || purchasedBefore === null) return null;
  const { purchased } = organizationLicenses;
  return purchasedBefore + licenses === purchased ? purchased : null;
}

/** Whether a purchase has reached its end. */
export function hasEnded({ status }: Pick<Purchase, "status">): boolean {
  return status === "succeeded" || status === "failed";
}

/** Whether a purchase was declined and can still be paid with another card. */
export function canBePaid({ status, nextAction }: Pick<Purchase, "status" | "nextAction">): boolean {
  return status === "failed" && nextAction !== null;
}

/**
 * Follows a purchase until it ends or time is up: 60 s while it is processing, or `--wait` if longer; `--wait` while a
 * person has to act. Never fails because of the backend: the purchase was accepted.
 *
 * @returns the purchase as last seen
 */
export async function follow(
  begun: PurchaseAnswer,
  tools: FollowTools,
  until: FollowUntil = "ended",
): Promise<PurchaseAnswer> {
  const { clock } = tools;
  const deadlines = deadlinesOf(tools);
  const announce = announcer(tools);
  let current = begun;
  let pause = MIN_PAUSE_MS;
  for (;;) {
    const awaited = awaitedOf(current, until);
    const asked = clock.monotonic();
    const left = awaited === null ? 0 : deadlines.of(awaited) - asked;
    if (awaited === null || left <= 0) break;
    announce(current, awaited);
    const seen = await lookAgain(current, awaited, left, tools);
    if (seen === null) break;
    current = seen;
    // Pause between requests to a backend that does not hold its responses, or fails.
    const isQuick = clock.monotonic() - asked < MIN_PAUSE_MS;
    if (isQuick && awaitedOf(current, until) === awaited) await clock.sleep(pause);
    pause = isQuick ? Math.min(pause * 2, MAX_PAUSE_MS) : MIN_PAUSE_MS;
  }
  tools.setInterruption(notShown(current));
  return current;
}

function awaitedOf(purchase: PurchaseAnswer, until: FollowUntil): Awaited | null {
  if (purchase.status === "processing") return "settling";
  const isWithPerson = purchase.status === "requires_approval" || (until === "unpayable" && canBePaid(purchase));
  return isWithPerson ? "person" : null;
}

/** Deadlines in monotonic ms: a person has `--wait` in total, a payment its full time whenever it starts to settle. */
function deadlinesOf({ clock, waitSeconds }: FollowTools): { of(awaited: Awaited): number } {
  const waitMs = waitSeconds * 1000;
  const person = clock.monotonic() + waitMs;
  let settling = 0;
  let last: Awaited | null = null;
  return {
    of(awaited) {
      if (awaited === "settling" && last !== awaited) settling = clock.monotonic() + Math.max(SETTLING_MS, waitMs);
      last = awaited;
      return awaited === "person" ? person : settling;
    },
  };
}

/** Shows the payment page once, reports a card declined there, and keeps the interruption note up to date. */
function announcer(tools: FollowTools): (purchase: PurchaseAnswer, awaited: Awaited) => void {
  let shown: Pick<Purchase, "nextAction" | "failure"> | null = null;
  return (purchase, awaited) => {
    tools.setInterruption(interruptionOf(purchase, awaited));
    if (awaited === "settling") return;
    const { nextAction, failure } = purchase;
    if (shown === null) tools.reach("C5");
    if (shown?.nextAction?.url !== nextAction?.url) tools.showPage(purchase);
    else if (failure !== null && shown?.failure?.message !== failure.message) {
      tools.say(`${failureReason(failure)} Try another card on the page.`);
    }
    shown = { nextAction, failure };
  };
}

/** What an interruption says before the result is printed. */
function notShown({ id }: PurchaseAnswer): InterruptionNote {
  return {
    message: `The purchase ${id} was accepted, but its result was not shown.`,
    hint: `See \`secureflag-licenses purchases show ${id}\`. Running the same command again is safe.`,
  };
}

function interruptionOf(purchase: PurchaseAnswer, awaited: Awaited): InterruptionNote {
  const { id, status, nextAction } = purchase;
  if (awaited === "settling") {
    return {
      message: `The purchase ${id} continues without this command.`,
      hint: `Follow it with \`secureflag-licenses purchases resume\`.`,
    };
  }
  const [waits, goOn] =
    status === "failed"
      ? ["can still be paid with another card", `purchases pay ${id}`]
      : ["is waiting for approval", "purchases resume"];
  const page = nextAction?.url ? addressText(nextAction.url) : "the payment page";
  return {
    message: `The purchase ${id} ${waits}. No license was added and nothing was charged yet.`,
    hint: awaitsAdministrator(purchase)
      ? administratorInvitation(purchase)
      : `Open ${page} to pay it, then run \`secureflag-licenses ${goOn}\`.`,
  };
}

/**
 * Reads the purchase again.
 *
 * @returns the purchase as known if the read failed; `null` if reading again is pointless
 */
async function lookAgain(
  current: PurchaseAnswer,
  awaited: Awaited,
  leftMs: number,
  tools: FollowTools,
): Promise<PurchaseAnswer | null> {
  const held = Math.min(MAX_HOLD_SECONDS, Math.ceil(leftMs / 1000));
  const person = awaitsAdministrator(current) ? "another administrator" : "the payment page";
  const text =
    awaited === "settling" ? "Waiting for the payment to settle" : `Waiting for ${person}; Ctrl-C stops waiting`;
  try {
    return await tools.busy(text, tools.client.purchase(tools.organizationId, current.id, held));
  } catch (error) {
    const code = codeOf(error);
    if (!(error instanceof Error) || code === null) throw error;
    if (ERRORS[code].isRetryable || code === "unexpected_answer") return current;
    tools.say(`The purchase ${current.id} cannot be followed: ${error.message}`);
    return null;
  }
}
