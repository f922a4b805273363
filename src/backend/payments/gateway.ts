import type { Money } from "../../billing/money.ts";
import type { PaymentMethod } from "../../contract/basics.ts";
import type { Mode } from "../../contract/mode.ts";
import type { ProviderStatus } from "../database/schema.ts";
import { BackendError } from "../errors.ts";

/** The status of a payment, as of Stripe's PaymentIntent. `requires_payment_method` after a confirmation is a decline. */
export type PaymentStatus =
  | "requires_confirmation"
  | "requires_action"
  | "requires_payment_method"
  | "processing"
  | "succeeded"
  | "canceled";

/** The statuses of a payment that has not taken money and is not taking it. */
export const CHARGEABLE_STATUSES: readonly PaymentStatus[] = [
  "requires_confirmation",
  "requires_payment_method",
  "requires_action",
];

/** A payment as the provider reports it. */
export interface Payment {
  readonly id: string;
  readonly purchaseId: string;
  readonly status: PaymentStatus;
  readonly amount: Money;
  readonly mode: Mode;
  /** Who pays, at a provider that knows customers. */
  readonly customer: string | null;
  /** What was last tried to be charged. */
  readonly paymentMethod: string | null;
  /** Changes with every attempt that the provider has made, whatever its outcome; `null` before the first. */
  readonly lastAttempt: string | null;
  readonly failure: { readonly code: string; readonly message: string } | null;
  /** Where a person approves the payment at their bank, of a payment that `requires_action`. */
  readonly approvalUrl: string | null;
}

/** A payment that took money, and what of it was refunded, in minor units. */
export interface Capture {
  readonly paymentId: string;
  readonly purchaseId: string;
  /** What was paid, where the provider knows. */
  readonly kind: PaidKind | null;
  readonly amount: number;
  readonly currency: string;
  readonly refunded: number;
  /** What is being refunded and may still fail, in minor units. */
  readonly refundPending: number;
  /** When the money was taken, milliseconds. */
  readonly capturedAt: number;
}

/** A page of captures. `next` is the cursor of the next page, `null` on the last one. */
interface CaptureList {
  readonly captures: readonly Capture[];
  readonly next: string | null;
}

/** What a payment pays. */
export type PaidKind = "purchase" | "renewal";

/** A payment to create. Frozen at acceptance, so that every worker sends the same one. */
export interface PaymentRequest {
  readonly idempotencyKey: string;
  readonly organizationId: number;
  readonly purchaseId: string;
  readonly kind: PaidKind;
  /** What is sold, for the provider's records. */
  readonly description: string;
  readonly amount: Money;
  /** Who pays; `null` at a provider without customers. */
  readonly customer: string | null;
  /** `null` if the organization has none: a person chooses one on the payment page. */
  readonly paymentMethod: string | null;
}

/** An attempt to take the money. Frozen before it is sent, so that every worker sends the same one. */
export interface PaymentAttempt {
  readonly idempotencyKey: string;
  readonly paymentMethod: string;
  /** Whether a person approves the payment on the payment page, so that the bank does not have to ask. */
  readonly approvedByPerson: boolean;
  /** Where a person comes back to from their bank; `null` if none is there. */
  readonly returnUrl: string | null;
}

/** The amounts that can be charged in a currency, in minor units. */
export interface ChargeLimits {
  /** The smallest total above zero; 0 without a minimum. */
  readonly minimum: number;
  /** `null` without a maximum. */
  readonly maximum: number | null;
  /** Amounts are multiples of it: 1 for most currencies. */
  readonly step: number;
}

/** What became of a refund. */
export type RefundStatus = "succeeded" | "pending" | "failed";

/** A payment method to choose on the payment page. */
export interface PaymentChoice {
  readonly id: string;
  readonly label: string;
  /** The last month in which it can be charged, `YYYY-MM`; left out or `null` if unknown. */
  readonly expires?: string | null;
}

/** What it takes to ask a person for a card on a page of the provider. */
export interface CardEntryRequest {
  readonly idempotencyKey: string;
  readonly organizationId: number;
  /** The purchase that the card then pays; `null` if it is to be the stored payment method instead. */
  readonly purchaseId: string | null;
  readonly customer: string;
  /** Where the person comes back to. */
  readonly returnUrl: string;
}

/** A page of the provider that asks a person for a card. `method` is there once it is `complete`. */
interface CardEntry {
  readonly id: string;
  readonly status: "open" | "complete" | "expired";
  /** Where the page is while it is open. */
  readonly url: string | null;
  readonly customer: string | null;
  readonly mode: Mode;
  readonly method: PaymentChoice | null;
}

/** What only a provider with customers of its own can do. */
export interface CustomerRecords {
  /** Creates a customer. The same key gives the same one. */
  create(organization: { id: number; name: string }, idempotencyKey: string): Promise<string>;
  /** Opens a page that asks for a card. The same key gives the same page. */
  startCardEntry(request: CardEntryRequest): Promise<CardEntry>;
  readCardEntry(id: string): Promise<CardEntry>;
  /** Whether a customer exists. */
  exists(customer: string): Promise<boolean>;
  /** Reads a payment method of a customer; `null` if it is not, or no longer, theirs. */
  findMethod(customer: string, paymentMethod: string): Promise<PaymentChoice | null>;
  /**
   * Attaches a card that belongs to nobody to a customer, and leaves one that is theirs as it is.
   *
   * @returns the card, which may have another ID
   * @throws GatewayRefusal for what does not exist, is no card, is another customer's, or is declined
   */
  attachCard(customer: string, paymentMethod: string): Promise<PaymentChoice>;
}

/** A payment that its payer's bank disputes. */
export interface Dispute {
  readonly id: string;
  readonly paymentId: string | null;
  readonly amount: Money;
  /** The provider's words. */
  readonly status: string;
  readonly reason: string;
  readonly isOpen: boolean;
  /** Until when it can be answered, milliseconds; `null` if nothing can be answered. */
  readonly answerBefore: number | null;
}

/** A subscription that renews at the provider. */
export interface ProviderSubscription {
  readonly id: string;
  readonly customer: string;
  readonly mode: Mode;
  readonly status: ProviderStatus;
  /** Whether another term begins when the current one ends. */
  readonly autoRenew: boolean;
  readonly items: readonly ProviderItem[];
  /** The invoice of the current term, unless the provider has none. */
  readonly invoice: string | null;
}

/** What a subscription is for. The term is `[start, end)`, milliseconds. */
interface ProviderItem {
  readonly id: string;
  readonly quantity: number;
  readonly start: number;
  readonly end: number;
}

/** The subscriptions of a provider that renews them by itself. */
export interface ProviderSubscriptions {
  /** Returns `null` for one that the provider does not know. */
  read(id: string): Promise<ProviderSubscription | null>;
  /** Sets the quantity of an item from its next invoice on. Nothing is charged for the current term. */
  setQuantity(itemId: string, quantity: number, idempotencyKey: string): Promise<void>;
}

/** The account that is paid, and whether payments move money. */
interface PaymentAccount {
  readonly mode: Mode;
  /** The seller's name on the payment page. */
  readonly seller: string;
}

/**
 * A payment provider: a payment is created unconfirmed, its ID is committed, then it is confirmed. Every call can throw
 * `GatewayUnavailable`, after which only `read` shows the outcome, and `GatewayRefusal`.
 */
export interface PaymentGateway {
  readonly account: PaymentAccount;
  /** The amounts that can be charged; `null` for a currency that the provider lacks. */
  limits(currency: string): ChargeLimits | null;
  /**
   * Describes a payment method for people. Calls nobody.
   *
   * @param label what was stored with it
   */
  describe(paymentMethod: string, label: string | null): PaymentMethod;
  /** Reads the label of a payment method, to store it. */
  readLabel(paymentMethod: string): Promise<string>;
  /** `null` at a provider without customers, whose `choices` are all there is. */
  readonly customers: CustomerRecords | null;
  /** Creates a payment that moves no money yet. The same key gives the same payment. */
  create(request: PaymentRequest): Promise<Payment>;
  /** The payment methods that the payment page offers besides the organization's own. */
  choices(): readonly PaymentChoice[];
  /** Takes the money. The same key gives the same outcome, also after a later attempt under another key. */
  confirm(paymentId: string, attempt: PaymentAttempt): Promise<Payment>;
  /** Reads the current state of a payment. */
  read(paymentId: string): Promise<Payment>;
  /** Cancels a payment unless it has taken money or is taking it. */
  cancel(paymentId: string): Promise<Payment>;
  /** Refunds the whole captured amount, or tells what became of that. The same key refunds once. */
  refund(paymentId: string, idempotencyKey: string): Promise<RefundStatus>;
  /**
   * Lists payments created before an instant (machine clock, milliseconds) and never confirmed. A provider that cannot
   * tell lists none: they move no money.
   */
  unconfirmed(createdBefore: number): Promise<readonly Payment[]>;
  /**
   * Lists a page of the payments that took money, or were refunded, at an instant (milliseconds) or later.
   *
   * @param after the cursor of the page, `null` for the first one
   */
  listCaptures(from: number, after: string | null): Promise<CaptureList>;
  /** Reads what a payment took; `null` if it took nothing, or if the provider does not know it. */
  findCapture(paymentId: string): Promise<Capture | null>;
  /** `null` at a provider that renews nothing by itself. */
  readonly subscriptions: ProviderSubscriptions | null;
  /** Reads a dispute; `null` if the provider does not know it. */
  findDispute(id: string): Promise<Dispute | null>;
}

/**
 * Returns what can be charged in a currency.
 *
 * @throws BackendError `internal`: organizations are only created with a currency that the provider has
 */
export function limitsOf(gateway: Pick<PaymentGateway, "limits">, currency: string): ChargeLimits {
  const limits = gateway.limits(currency);
  if (limits === null) throw new BackendError("internal", `The payment provider cannot charge in ${currency}`);
  return limits;
}

/** The step of amounts in a currency, in minor units. */
export function chargeStepOf(gateway: Pick<PaymentGateway, "limits">, currency: string): number {
  return limitsOf(gateway, currency).step;
}

/** The provider did not answer, or its answer was lost. The outcome is unknown. */
export class GatewayUnavailable extends Error {
  override readonly name = "GatewayUnavailable";
  /** Whether the provider repeats a failure of its own for this key, which therefore never has another outcome. */
  readonly isReplayed: boolean;

  constructor(message: string, { isReplayed = false, ...options }: ErrorOptions & { isReplayed?: boolean } = {}) {
    super(message, options);
    this.isReplayed = isReplayed;
  }
}

/**
 * The provider refuses a request as such, and has done nothing. `isConflict` says that the key was used for another
 * request, so that something may have been done before.
 */
export class GatewayRefusal extends Error {
  override readonly name = "GatewayRefusal";
  readonly isConflict: boolean;

  constructor(message: string, { isConflict, ...options }: ErrorOptions & { isConflict: boolean }) {
    super(message, options);
    this.isConflict = isConflict;
  }
}
