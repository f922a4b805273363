import type { Client } from "../../client/client.ts";
import type { LicenseCounts } from "../../contract/basics.ts";
import type { Purchase } from "../../contract/billing.ts";
import type { Clock, InterruptionNote } from "../context.ts";
import type { CliError } from "../errors.ts";
import type { Journal } from "../journal/journal.ts";
import type { Output } from "../outputs.ts";
import type { Offer } from "./offer.ts";

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
}

/** What became of one purchase, as the commands that are about one print it. */
export interface BuyResult extends Output<"buy"> {
  readonly licenses: LicenseCounts;
}
