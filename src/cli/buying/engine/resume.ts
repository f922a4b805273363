import type { Client } from "../../../client/client.ts";
import { readPages } from "../../../client/pages.ts";
import type { Purchase, PurchaseAnswer } from "../../../contract/billing.ts";
import { emailKey } from "../../../contract/email.ts";
import { CliError, codeOf, exitCodeOf } from "../../errors.ts";
import type { Output } from "../../outputs.ts";
import { approvedBy, outcomeOf } from "./earlier.ts";
import { errorOfPurchase } from "./failureWords.ts";
import { follow, hasEnded, licensesAfter, splitAnswer } from "./follow.ts";
import { differenceFrom } from "./send.ts";
import type { PurchasingTools } from "./tools.ts";

/** The result of `purchases resume`. */
export interface Resumed {
  readonly result: Output<"purchases resume">;
  /** The keys of journal entries to remove once the result is printed: of purchases that ended, and void ones. */
  readonly endedKeys: readonly string[];
  /** The number of licenses purchased after a purchase, by its ID, where it is known. */
  readonly licensesAfter: ReadonlyMap<string, number>;
  /** The worst failure; `null` if everything succeeded. */
  readonly failure: CliError | null;
  /** The purchase that failed so; `null` if it is not known. */
  readonly failed: Purchase | null;
}

/** The calls that resuming makes beside those of buying. */
export type ResumeClient = PurchasingTools["client"] & Pick<Client, "purchases">;

/** More than an organization ever has. */
const MAX_UNSETTLED = 1_000;

const UNSETTLED = ["processing", "requires_approval", "needs_review"] as const;

/**
 * Follows what was started, and starts nothing: every journaled purchase, and every unsettled one that the same user made
 * in the organization, on any machine.
 */
export async function resume(client: ResumeClient, tools: PurchasingTools): Promise<Resumed> {
  const resumed: PurchaseAnswer[] = [];
  const after = new Map<string, number>();
  const open: CliError[] = [];
  /** By purchase ID: the backend reports something other than what was approved. The journal keeps such an entry. */
  const disputed = new Map<string, CliError>();
  const voided: string[] = [];
  const notReceived: { idempotencyKey: string; licenses: number }[] = [];
  const followFrom = follower(tools);
  const followOn = async (begun: PurchaseAnswer, purchasedBefore: number | null) => {
    const purchase = await followFrom(begun);
    resumed.push(purchase);
    const count = licensesAfter(purchase, purchasedBefore);
    if (count !== null) after.set(purchase.id, count);
    return purchase;
  };
  for (const entry of await tools.journal.entries(client.origin, tools.organizationId)) {
    // A key that a person chose may be sent again; the others have a next one.
    const isChosen = entry.keySource === "explicit";
    const outcome = await outcomeOf(entry, isChosen ? "keep" : "void", tools);
    if (outcome?.purchase) {
      const purchase = await followOn(outcome.purchase, entry.purchased);
      const difference = differenceFrom(approvedBy(entry), purchase);
      if (difference !== null) disputed.set(purchase.id, difference);
    }
    if (outcome?.purchase === null)
      notReceived.push({ idempotencyKey: entry.idempotencyKey, licenses: entry.licenses });
    if (outcome?.purchase === null && outcome.isVoid) voided.push(entry.idempotencyKey);
    if (outcome?.purchase === null && !outcome.isVoid) open.push(mayStillArrive(entry.idempotencyKey));
  }
  const seen = new Set(resumed.map(({ id }) => id));
  for (const purchase of await unsettledOfUser(client, tools, open)) {
    if (!seen.has(purchase.id)) await followOn(purchase, purchase.organizationLicenses.purchased);
  }
  const { licenses } = await tools.busy("Reading the subscription", client.subscription(tools.organizationId));
  const purchases = resumed.map((answer) => splitAnswer(answer).purchase);
  const { error, purchase } = worst([
    ...open.map((error) => ({ error, purchase: null })),
    ...purchases.map((purchase) => ({ error: disputed.get(purchase.id) ?? errorOfPurchase(purchase), purchase })),
  ]);
  return {
    result: { resumed: purchases, notReceived, licenses },
    endedKeys: [
      ...purchases.flatMap((purchase) =>
        hasEnded(purchase) && !disputed.has(purchase.id) ? (purchase.idempotencyKey ?? []) : [],
      ),
      ...voided,
    ],
    licensesAfter: after,
    failure: error,
    failed: error && purchase,
  };
}

/** Follows one purchase after the other; all share the time to wait for approval. */
function follower(tools: PurchasingTools): (purchase: PurchaseAnswer) => Promise<PurchaseAnswer> {
  const start = tools.clock.monotonic();
  return (purchase) => {
    const spentSeconds = (tools.clock.monotonic() - start) / 1000;
    return follow(purchase, { ...tools, waitSeconds: Math.max(0, tools.waitSeconds - spentSeconds) });
  };
}

/** @param open receives the error if a list cannot be read to its end: the outcome of its purchases is unknown */
async function unsettledOfUser(
  client: ResumeClient,
  { organizationId, busy }: PurchasingTools,
  open: CliError[],
): Promise<PurchaseAnswer[]> {
  const { user } = await busy("Asking who you are", client.me());
  const found: PurchaseAnswer[] = [];
  for (const status of UNSETTLED) {
    const listing = listUnsettled(client, organizationId, status).catch((error: unknown) => {
      if (!(error instanceof Error) || codeOf(error) !== "unexpected_answer") throw error;
      open.push(notListed(error));
      return [];
    });
    for (const { id, purchasedBy } of await busy("Looking for unsettled purchases", listing)) {
      if (purchasedBy === null || emailKey(purchasedBy.email) !== emailKey(user.email)) continue;
      found.push(await busy("Reading an unsettled purchase", client.purchase(organizationId, id)));
    }
  }
  return found;
}

async function listUnsettled(client: ResumeClient, organizationId: number, status: string): Promise<Purchase[]> {
  const { items } = await readPages({
    name: "unsettled purchases",
    read: (after: string | null) => client.purchases(organizationId, { status, ...(after !== null && { after }) }),
    maxItems: MAX_UNSETTLED,
  });
  return items;
}

function notListed(cause: Error): CliError {
  return new CliError("outcome_unknown", `Cannot list the unsettled purchases. ${cause.message}`, {
    hint: "Running the same command again is safe.",
    cause,
  });
}

function mayStillArrive(key: string): CliError {
  return new CliError("outcome_unknown", `The purchase under the key ${key} has not arrived yet`, {
    hint: "Running its command again with the same key is safe.",
  });
}

/** How one purchase ended; `error` is `null` where it succeeded. */
interface End {
  readonly error: CliError | null;
  readonly purchase: Purchase | null;
}

function worst(ends: readonly End[]): End {
  const isWorse = (one: End, other: End) =>
    one.error !== null && (other.error === null || exitCodeOf(one.error) > exitCodeOf(other.error));
  return ends.reduce((worst, end) => (isWorse(end, worst) ? end : worst), { error: null, purchase: null });
}
