import type { Client } from "../../../client/client.ts";
import { readPages } from "../../../client/pages.ts";
import type { Purchase, PurchaseAnswer } from "../../../contract/billing.ts";
import { emailKey } from "../../../contract/email.ts";
import { CliError, codeOf, exitCodeOf } from "../../errors.ts";
import type { Output } from "../../outputs.ts";
import { approvedBy, fateOf } from "./earlier.ts";
import { errorOfPurchase } from "./failureWords.ts";
import { follow, hasEnded, licensesAfter, splitAnswer } from "./follow.ts";
import { differenceFrom } from "./send.ts";
import type { PurchasingTools } from "./tools.ts";

/** How a `purchases resume` ended. */
export interface Resumed {
  readonly result: Output<"purchases resume">;
  /** The journal entries to remove once the result was printed: of purchases that ended, and of keys that are void. */
  readonly endedKeys: readonly string[];
  /** The licenses purchased after a purchase, by its id, where that is known. */
  readonly licensesAfter: ReadonlyMap<string, number>;
  /** The worst end, `null` when nothing is left open and nothing failed. */
  readonly failure: CliError | null;
  /** The purchase that ended so; `null` where it is not known. */
  readonly failed: Purchase | null;
}

/** The calls that resuming makes beside those of buying. */
export type ResumeClient = PurchasingTools["client"] & Pick<Client, "purchases">;

/** More than an organization has at one time. */
const MAX_UNSETTLED = 1_000;

const UNSETTLED = ["processing", "requires_approval", "needs_review"] as const;

/**
 * Follows what was begun, and begins nothing (details.md, 8): every journaled purchase, and every unsettled one of the
 * organization that the same user made, on whatever machine.
 */
export async function resume(client: ResumeClient, tools: PurchasingTools): Promise<Resumed> {
  const resumed: PurchaseAnswer[] = [];
  const after = new Map<string, number>();
  const open: CliError[] = [];
  /** By purchase: what was approved is not what the backend reports. Such an entry stays. */
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
    // A key that a person chose is theirs to send again; for the others there is always a next one (details.md, 2).
    const isChosen = entry.keySource === "explicit";
    const fate = await fateOf(entry, isChosen ? "keep" : "void", tools);
    if (fate?.purchase) {
      const purchase = await followOn(fate.purchase, entry.purchased);
      const difference = differenceFrom(approvedBy(entry), purchase);
      if (difference !== null) disputed.set(purchase.id, difference);
    }
    if (fate?.purchase === null) notReceived.push({ idempotencyKey: entry.idempotencyKey, licenses: entry.licenses });
    if (fate?.purchase === null && fate.isVoid) voided.push(entry.idempotencyKey);
    if (fate?.purchase === null && !fate.isVoid) open.push(mayStillArrive(entry.idempotencyKey));
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

/** Follows one purchase after the other; all of them share the time that persons have. */
function follower(tools: PurchasingTools): (purchase: PurchaseAnswer) => Promise<PurchaseAnswer> {
  const start = tools.clock.monotonic();
  return (purchase) => {
    const spentSeconds = (tools.clock.monotonic() - start) / 1000;
    return follow(purchase, { ...tools, waitSeconds: Math.max(0, tools.waitSeconds - spentSeconds) });
  };
}

/** @param open takes what keeps a list from being read to its end: then the outcome of its purchases is unknown */
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
  return new CliError("outcome_unknown", `The purchase under the key ${key} has not arrived, and may still`, {
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
