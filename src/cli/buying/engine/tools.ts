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
  | "me"
>;

/** Decides whether an offer is taken. */
export interface Approver {
  /**
   * @param offer what would be bought
   * @param before the offer that was approved and went stale, with the refusal that said so; `null` the first time
   * @throws CliError `declined_by_person`, or the refusal where it is not safe to go on alone
   */
  approve(offer: Offer, before: { offer: Offer; refusal: Error } | null): Promise<void>;
  /** Whether to buy again what an earlier command already bought. */
  buyAgain(purchase: Purchase): Promise<boolean>;
  /** Whether to pay a declined purchase with another card, on the payment page, now. */
  tryAnotherCard(purchase: Purchase): Promise<boolean>;
}

/** Everything that buying and resuming need from around them. */
export interface PurchasingTools {
  readonly client: PurchasingClient;
  readonly journal: Journal;
  readonly organizationId: number;
  readonly clock: Clock;
  /** How long a person at the payment page is waited for, in seconds. */
  readonly waitSeconds: number;
  /** Tells a person something on the way. */
  say(text: string): void;
  /** Shows a sign of life while work lasts. */
  busy<Result>(text: string, work: Promise<Result>): Promise<Result>;
  /** Sets the last words of a command that is interrupted from here on. */
  setInterruption(note: InterruptionNote | null): void;
  /** Shows a person the payment page of a purchase. */
  showPage(purchase: Purchase): void;
  /** Whether a purchase's payment page is on the screen on which its result appears. */
  isPageOnScreen(purchase: Purchase): boolean;
  /** A crash point (purchase.md, Crash points). */
  reach(point: string): void;
}

/** How a command that is about one purchase ended. */
export interface Concluded {
  readonly result: BuyResult;
  /** The journal entry to remove once the result was printed; `null` while the purchase has not ended. */
  readonly endedKey: string | null;
  /** What the command ends with after its result was printed; `null` is success. */
  readonly failure: CliError | null;
  /** The number of licenses purchased after the purchase, where that is known and no quote has it. */
  readonly licensesAfter?: number | null;
}

/** What became of one purchase, as the commands that are about one print it. */
export interface BuyResult extends Output<"buy"> {
  readonly licenses: LicenseCounts;
}

/** What stops a purchase that goes beyond what the command allows. */
export interface Guards {
  /** An amount in major units of the subscription's currency, tax included. */
  readonly maxTotal: string | null;
  readonly maxLicenses: number | null;
  readonly ifPurchased: number | null;
}

/** What a command that buys was told to do. */
export interface BuyRequest extends Guards {
  readonly wanted: Wanted;
  readonly purchaseOrder: string | null;
  readonly note: string | null;
  /** Of `--idempotency-key`. */
  readonly explicitKey: string | null;
  /** Of `--from`: the offer that was reviewed and is bought from. */
  readonly quoteFile: QuoteFile | null;
  readonly dryRun: boolean;
}

/** Whether a command means the purchase that an earlier one began (details.md, 1). */
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

/** Whether licenses, PO number and note are the same (details.md, 3); a target is met by any number of licenses. */
export function isSameOrder(
  { wanted, purchaseOrder, note }: Pick<BuyRequest, "wanted" | "purchaseOrder" | "note">,
  other: Pick<Purchase, "licenses" | "purchaseOrder" | "note">,
): boolean {
  const isCount = !("licenses" in wanted) || wanted.licenses === other.licenses;
  return isCount && purchaseOrder === other.purchaseOrder && note === other.note;
}

const MAX_REFUSALS = 3;

/** How offers are taken where nobody is asked. */
export interface AutomaticChoice {
  /** Whether the offer is decided anew after any refusal: a target says by itself what is wanted, a count does not. */
  readonly decidesAnew: boolean;
  /** Tells what is about to be bought, before it is. */
  announce(offer: Offer): Promise<void>;
}

/**
 * Takes every first offer, as `--yes` says. After a refusal it goes on alone only where nothing changed but the quote's
 * time or the key: another purchase or another price is somebody's decision again (cli.md, exit code 9). A target is
 * decided anew instead, up to 3 times (purchase.md, Stale quotes).
 */
export function automaticApprover({ decidesAnew, announce }: AutomaticChoice): Approver {
  let refusals = 0;
  const mayGoOn = (offer: Offer, before: { offer: Offer; refusal: Error }) => {
    refusals += 1;
    if (refusals > MAX_REFUSALS) return false;
    return decidesAnew || (codeOf(before.refusal) !== "subscription_changed" && isSameOffer(offer, before.offer));
  };
  return {
    async approve(offer, before) {
      if (before !== null && !mayGoOn(offer, before)) {
        throw new CliError(codeOf(before.refusal) ?? "subscription_changed", before.refusal.message, {
          hint: "Nothing was bought. Look at `secureflag-licenses status`, then run the command again.",
          cause: before.refusal,
        });
      }
      await announce(offer);
    },
    buyAgain: async () => false,
    tryAnotherCard: async () => false,
  };
}

/** Whether a person who approved one offer would see the same in the other. */
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
