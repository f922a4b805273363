import type { LicenseCounts } from "../../contract/basics.ts";
import type { Purchase, PurchaseAnswer } from "../../contract/billing.ts";
import { codeOf, EXIT_CODES } from "../errors.ts";
import type { PurchasingTools } from "./tools.ts";

const SETTLING_MS = 60_000;
const PAUSE_MS = 500;
const LONGEST_WAIT_SECONDS = 20;

/** What following needs. */
export type FollowTools = Pick<
  PurchasingTools,
  "client" | "organizationId" | "clock" | "waitSeconds" | "say" | "busy" | "setInterruption" | "showApproval"
>;

/** The purchase itself and, apart, the organization's license counts. */
export function splitAnswer(answer: PurchaseAnswer): { purchase: Purchase; licenses: LicenseCounts } {
  const { organizationLicenses, ...purchase } = answer;
  return { purchase, licenses: organizationLicenses };
}

/** Whether nothing more will happen to a purchase by itself. */
export function hasEnded({ status }: Pick<Purchase, "status">): boolean {
  return status === "succeeded" || status === "failed";
}

/**
 * Follows a purchase until it ends or it is time to stop: 60 s while it is processing, or `--wait` if longer; `--wait`
 * while a person's approval is missing (details.md, 9).
 *
 * @returns the purchase as it was last seen
 */
export async function follow(begun: PurchaseAnswer, tools: FollowTools): Promise<PurchaseAnswer> {
  if (!isOpen(begun)) return begun;
  const { clock, waitSeconds } = tools;
  const start = clock.monotonic();
  const limitOf = ({ status }: PurchaseAnswer) =>
    status === "processing" ? Math.max(SETTLING_MS, waitSeconds * 1000) : isOpen(current) ? waitSeconds * 1000 : 0;
  tools.setInterruption({
    message: `The purchase ${begun.id} goes on without this command.`,
    hint: `See it with \`secureflag-licenses purchases show ${begun.id}\`, follow it with \`purchases resume\`.`,
  });
  let current = begun;
  let shown = false;
  const left = () => limitOf(current) - (clock.monotonic() - start);
  while (left() > 0) {
    if (current.status === "requires_approval" && !shown) tools.showApproval(current);
    shown ||= current.status === "requires_approval";
    const asked = clock.monotonic();
    const seen = await lookAgain(current, left(), tools);
    if (seen === "gone") break;
    current = seen;
    // A backend that does not hold its answers must not be asked without a pause.
    const spared = PAUSE_MS - (clock.monotonic() - asked);
    if (isOpen(current) && spared > 0) await clock.sleep(spared);
  }
  tools.setInterruption(null);
  return current;
}

function isOpen({ status }: PurchaseAnswer): boolean {
  return status === "processing" || status === "requires_approval";
}

/**
 * Asks for the purchase once more. What is known stays true whatever is answered: the purchase was accepted.
 *
 * @returns `gone` where asking again is no use
 */
async function lookAgain(
  current: PurchaseAnswer,
  leftMs: number,
  tools: FollowTools,
): Promise<PurchaseAnswer | "gone"> {
  const held = Math.min(LONGEST_WAIT_SECONDS, Math.ceil(leftMs / 1000));
  const text = current.status === "processing" ? "Waiting for the payment to settle" : "Waiting for the approval";
  try {
    return await tools.busy(text, tools.client.purchase(tools.organizationId, current.id, held));
  } catch (error) {
    const code = codeOf(error);
    if (!(error instanceof Error) || code === null) throw error;
    if (EXIT_CODES[code] === 10 || code === "unexpected_answer") return current;
    tools.say(`The purchase ${current.id} cannot be followed: ${error.message}`);
    return "gone";
  }
}
