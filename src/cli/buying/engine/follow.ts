import type { LicenseCounts } from "../../../contract/basics.ts";
import type { Purchase, PurchaseAnswer } from "../../../contract/billing.ts";
import type { InterruptionNote } from "../../context.ts";
import { codeOf, ERRORS } from "../../errors.ts";
import { addressText } from "../../kit/links.ts";
import { failureReason } from "./failureWords.ts";
import type { PurchasingTools } from "./tools.ts";

const SETTLING_MS = 60_000;

const SHORTEST_PAUSE_MS = 500;

const LONGEST_PAUSE_MS = 2_000;

const LONGEST_HOLD_SECONDS = 20;

/** What following needs. */
export type FollowTools = Pick<
  PurchasingTools,
  "client" | "organizationId" | "clock" | "waitSeconds" | "say" | "busy" | "setInterruption" | "showPage" | "reach"
>;

/** What a purchase that goes on is waited for: that its payment settles, or that a person acts on the payment page. */
type Awaited = "settling" | "person";

/** Where following stops by itself: at the first end, or only where the purchase cannot be paid any more. */
export type FollowUntil = "ended" | "unpayable";

/** A purchase with the fields that cli.md lists, and `refund` only where money went back. */
export function asPrinted({ refund, ...purchase }: Purchase): Purchase {
  return refund ? { ...purchase, refund } : purchase;
}

/** The purchase itself, as it is printed, and, apart, the organization's license counts. */
export function splitAnswer(answer: PurchaseAnswer): { purchase: Purchase; licenses: LicenseCounts } {
  const { organizationLicenses, ...purchase } = answer;
  return { purchase: asPrinted(purchase), licenses: organizationLicenses };
}

/** Whether nothing more will happen to a purchase by itself. */
export function hasEnded({ status }: Pick<Purchase, "status">): boolean {
  return status === "succeeded" || status === "failed";
}

/** Whether a purchase was declined and can still be paid with another card (details.md, 11). */
export function canBePaid({ status, nextAction }: Pick<Purchase, "status" | "nextAction">): boolean {
  return status === "failed" && nextAction !== null;
}

/**
 * Follows a purchase until it ends or it is time to stop: 60 s while it is processing, or `--wait` if longer; `--wait`
 * while a person has to act (details.md, 9). Trouble on the way ends nothing: the purchase was accepted.
 *
 * @returns the purchase as it was last seen
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
  let pause = SHORTEST_PAUSE_MS;
  for (;;) {
    const awaited = awaitedOf(current, until);
    const asked = clock.monotonic();
    const left = awaited === null ? 0 : deadlines.of(awaited) - asked;
    if (awaited === null || left <= 0) break;
    announce(current, awaited);
    const seen = await lookAgain(current, awaited, left, tools);
    if (seen === null) break;
    current = seen;
    // A backend that does not hold its answers, or gives none, must not be asked without a pause.
    const isQuick = clock.monotonic() - asked < SHORTEST_PAUSE_MS;
    if (isQuick && awaitedOf(current, until) === awaited) await clock.sleep(pause);
    pause = isQuick ? Math.min(pause * 2, LONGEST_PAUSE_MS) : SHORTEST_PAUSE_MS;
  }
  tools.setInterruption(notShown(current));
  return current;
}

function awaitedOf(purchase: PurchaseAnswer, until: FollowUntil): Awaited | null {
  if (purchase.status === "processing") return "settling";
  const isWithPerson = purchase.status === "requires_approval" || (until === "unpayable" && canBePaid(purchase));
  return isWithPerson ? "person" : null;
}

/** Persons have `--wait` in all; a payment has its time anew each time that it begins to settle. In monotonic ms. */
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

/** Shows the payment page once, tells of a card that was declined there, and keeps the last words of an interruption. */
function announcer(tools: FollowTools): (purchase: PurchaseAnswer, awaited: Awaited) => void {
  let shown: Pick<Purchase, "nextAction" | "failure"> | null = null;
  return (purchase, awaited) => {
    tools.setInterruption(lastWords(purchase, awaited));
    if (awaited === "settling") return;
    const { nextAction, failure } = purchase;
    if (shown === null) tools.reach("C5");
    if (shown?.nextAction?.url !== nextAction?.url) tools.showPage(purchase);
    else if (failure !== null && shown?.failure?.message !== failure.message) {
      tools.say(`${failureReason(failure)} Another card can be chosen on the page.`);
    }
    shown = { nextAction, failure };
  };
}

/** Until its result is printed, nobody knows of a purchase but by this. */
function notShown({ id }: PurchaseAnswer): InterruptionNote {
  return {
    message: `The purchase ${id} was accepted, and its result was not shown.`,
    hint: `See \`secureflag-licenses purchases show ${id}\`. Running the same command again is safe.`,
  };
}

function lastWords({ id, status, nextAction }: PurchaseAnswer, awaited: Awaited): InterruptionNote {
  if (awaited === "settling") {
    return {
      message: `The purchase ${id} goes on without this command.`,
      hint: `See it with \`secureflag-licenses purchases show ${id}\`, follow it with \`purchases resume\`.`,
    };
  }
  const [waits, goOn] =
    status === "failed"
      ? ["can still be paid with another card", `purchases pay ${id}`]
      : ["waits for a person's approval", "purchases resume"];
  return {
    message: `The purchase ${id} ${waits}. No license was added and nothing was charged yet.`,
    hint: `Open ${nextAction ? addressText(nextAction.url) : "the payment page"} to pay it, then run \`secureflag-licenses ${goOn}\`.`,
  };
}

/**
 * Asks for the purchase once more. What is known stays true whatever is answered: the purchase was accepted.
 *
 * @returns `null` where asking again is no use
 */
async function lookAgain(
  current: PurchaseAnswer,
  awaited: Awaited,
  leftMs: number,
  tools: FollowTools,
): Promise<PurchaseAnswer | null> {
  const held = Math.min(LONGEST_HOLD_SECONDS, Math.ceil(leftMs / 1000));
  const text =
    awaited === "settling" ? "Waiting for the payment to settle" : "Waiting for the payment page; Ctrl-C stops waiting";
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
