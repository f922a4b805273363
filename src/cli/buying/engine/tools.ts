import type { Client } from "../../../client/client.ts";
import type { LicenseCounts } from "../../../contract/basics.ts";
import type { Purchase } from "../../../contract/billing.ts";
import type { Clock, InterruptionNote } from "../../context.ts";
import { CliError, codeOf } from "../../errors.ts";
import type { Output } from "../../outputs.ts";
import type { Journal, JournalEntry } from "./journal.ts";
import type { Offer } from "./offer.ts";
import { isFileKey, type QuoteFile } from "./quoteFile.ts";
import { isSameTarget, targetOf, type Wanted } from "./wanted.ts";

/** The calls that buying makes. */
export type PurchasingClient = Pick<
  Client,
  | "apiUrl"
  | "origin"
  | "subscription"
  | "createQuote"
  | "createPurchase"
  | "purchaseByKey"
  | "voidKey"
  | "purchase"
  | "payPurchase"
  | "cancelPurchase"
  | "approvePurchase"
  | "rejectPurchase"
  | "me"
>;

/** Decides whether an offer is accepted. */
export interface Approver {
  /**
   * @param offer what would be bought
   * @param before the approved offer that became stale, with the refusal; `null` the first time
   * @throws CliError `declined_by_person`, or the refusal if a person has to decide again
   */
  approve(offer: Offer, before: { offer: Offer; refusal: Error } | null): Promise<void>;
  /** Whether to buy again what an earlier command has bought. */
  buyAgain(purchase: Purchase): Promise<boolean>;
  /** Whether to pay a declined purchase with another card, on the payment page, now. */
  tryAnotherCard(purchase: Purchase): Promise<boolean>;
}

/** What buying and resuming need from the command. */
export interface PurchasingTools {
  readonly client: PurchasingClient;
  readonly journal: Journal;
  readonly organizationId: number;
  readonly clock: Clock;
  /** How long to wait for a person at the payment page, in seconds. */
  readonly waitSeconds: number;
  /** Prints a note for people. */
  say(text: string): void;
  /** Shows progress while work lasts. */
  busy<Result>(text: string, work: Promise<Result>): Promise<Result>;
  /** Sets what is said if the command is interrupted from now on. */
  setInterruption(note: InterruptionNote | null): void;
  /** Shows the payment page of a purchase. */
  showPage(purchase: Purchase): void;
  /** Whether a purchase's payment page is on the screen on which its result appears. */
  isPageOnScreen(purchase: Purchase): boolean;
  /** Marks a crash point (src/backend/README.md, Crash points). */
  reach(point: string): void;
}

/** How a command about one purchase ended. */
export interface Concluded {
  readonly result: BuyResult;
  /** The key of the journal entry to remove once the result is printed; `null` while the purchase has not ended. */
  readonly endedKey: string | null;
  /** The error to end with once the result is printed; `null` on success. */
  readonly failure: CliError | null;
  /** The number of licenses purchased after the purchase, if it is known without a quote. */
  readonly licensesAfter?: number | null;
}

/** The result that commands about one purchase print. */
export interface BuyResult extends Output<"buy"> {
  readonly licenses: LicenseCounts;
}

/** Limits that stop a purchase. */
export interface Guards {
  /** An amount in major units of the subscription's currency, tax included. */
  readonly maxTotal: string | null;
  readonly maxLicenses: number | null;
  readonly ifPurchased: number | null;
}

/** What a command that buys is to do. */
export interface BuyRequest extends Guards {
  readonly wanted: Wanted;
  readonly purchaseOrder: string | null;
  readonly note: string | null;
  /** From `--idempotency-key`. */
  readonly explicitKey: string | null;
  /** From `--from`: the reviewed offer to buy from. */
  readonly quoteFile: QuoteFile | null;
  readonly dryRun: boolean;
  /** In a dry run, whether another token is to buy, so that this one only needs to read. */
  readonly isPlan?: boolean | undefined;
  /** Buys only while the subscription has this version, which whoever asks has seen; any if left out. */
  readonly version?: number | undefined;
}

/** Whether a command means the purchase that an earlier one started (src/cli/README.md, Exactly once). */
export function meansTheSame(request: BuyRequest, entry: JournalEntry): boolean {
  return (
    isSameOrder(request, entry) && isSameTarget(targetOf(request.wanted), entry.target) && hasSameKey(request, entry)
  );
}

function hasSameKey({ explicitKey, quoteFile }: BuyRequest, { keySource, idempotencyKey }: JournalEntry): boolean {
  if (explicitKey !== null) return keySource === "explicit" && idempotencyKey === explicitKey;
  if (quoteFile !== null) return keySource === "file" && isFileKey(quoteFile, idempotencyKey);
  return keySource === "random" || keySource === "ci";
}

/** Whether licenses, PO number and note are the same; a target matches any number of licenses. */
export function isSameOrder(
  { wanted, purchaseOrder, note }: Pick<BuyRequest, "wanted" | "purchaseOrder" | "note">,
  other: Pick<Purchase, "licenses" | "purchaseOrder" | "note">,
): boolean {
  const isCount = !("licenses" in wanted) || wanted.licenses === other.licenses;
  return isCount && purchaseOrder === other.purchaseOrder && note === other.note;
}

const MAX_REFUSALS = 3;

/** How offers are accepted without a prompt. */
export interface AutomaticChoice {
  /** Whether to decide anew after any refusal: true for a target, which determines what is wanted. */
  readonly decidesAnew: boolean;
  /** Prints what is about to be bought. */
  announce(offer: Offer): Promise<void>;
}

/**
 * Accepts every first offer, as `--yes` says. After a refusal, continues only if nothing changed but the quote's time or the
 * key: another purchase or price is a new decision (exit code 9). A target is decided anew instead, up to 3 times.
 */
export function automaticApprover({ decidesAnew, announce }: AutomaticChoice): Approver {
  let refusals = 0;
  const mayContinue = (offer: Offer, before: { offer: Offer; refusal: Error }) => {
    refusals += 1;
    if (refusals > MAX_REFUSALS) return false;
    return decidesAnew || (codeOf(before.refusal) !== "subscription_changed" && isSameOffer(offer, before.offer));
  };
  return {
    async approve(offer, before) {
      if (before !== null && !mayContinue(offer, before)) {
        throw new CliError(codeOf(before.refusal) ?? "subscription_changed", before.refusal.message, {
          hint: "Nothing was bought. See `secureflag-licenses status`, then run the command again.",
          cause: before.refusal,
        });
      }
      await announce(offer);
    },
    buyAgain: async () => false,
    tryAnotherCard: async () => false,
  };
}

/** Whether a person would see the same in both offers. */
function isSameOffer(one: Offer, other: Offer): boolean {
  const [a, b] = [one.quote, other.quote];
  return (
    a.total.amount === b.total.amount &&
    a.total.currency === b.total.currency &&
    a.licensesAfter === b.licensesAfter &&
    a.purchaseDate === b.purchaseDate &&
    a.renewsAt?.total.amount === b.renewsAt?.total.amount
  );
}
