import type { Money } from "../../billing/money.ts";
import type { PaymentMethod } from "../../contract/basics.ts";
import type { Mode } from "../../contract/mode.ts";

/** The status of a payment, as of Stripe's PaymentIntent. `requires_payment_method` after a confirmation is a decline. */
export type PaymentStatus =
  | "requires_confirmation"
  | "requires_action"
  | "requires_payment_method"
  | "processing"
  | "succeeded"
  | "canceled";

/** A payment as the provider reports it. */
export interface Payment {
  readonly id: string;
  readonly purchaseId: string;
  readonly status: PaymentStatus;
  readonly amount: Money;
  readonly failure: { readonly code: string; readonly message: string } | null;
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
  readonly purchaseId: string;
  readonly kind: PaidKind;
  readonly amount: Money;
  /** `null` if the organization has none: a person chooses one on the payment page. */
  readonly paymentMethod: string | null;
}

/** An attempt to take the money. Frozen before it is sent, so that every worker sends the same one. */
export interface PaymentAttempt {
  readonly idempotencyKey: string;
  readonly paymentMethod: string;
  /** Whether a person approves the payment on the payment page, so that the bank does not have to ask. */
  readonly approvedByPerson: boolean;
}

/** A payment method to choose on the payment page. */
export interface PaymentChoice {
  readonly id: string;
  readonly label: string;
}

/** The account that is paid, and whether payments move money. */
interface PaymentAccount {
  readonly mode: Mode;
  /** The seller's name on the payment page. */
  readonly seller: string;
}

/**
 * A payment provider: a payment is created unconfirmed, its ID is committed, then it is confirmed. Every call can throw
 * `GatewayUnavailable`, after which only `read` shows the outcome.
 */
export interface PaymentGateway {
  readonly account: PaymentAccount;
  /** The smallest total above zero that can be charged, in minor units; 0 without a minimum. */
  minimumCharge(currency: string): number;
  /** The step of amounts, in minor units; 1 for most currencies. */
  chargeStep(currency: string): number;
  /** Describes a payment method for people. */
  describe(paymentMethod: string): PaymentMethod;
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
  /** Refunds the whole captured amount. The same key refunds once. */
  refund(paymentId: string, idempotencyKey: string): Promise<void>;
  /** Lists payments created before an instant (machine clock, milliseconds) and never confirmed. */
  unconfirmed(createdBefore: number): Promise<readonly Payment[]>;
  /**
   * Lists a page of the payments that took money, or were refunded, at an instant (milliseconds) or later.
   *
   * @param after the cursor of the page, `null` for the first one
   */
  listCaptures(from: number, after: string | null): Promise<CaptureList>;
  /** Reads what a payment took; `null` if it took nothing, or if the provider does not know it. */
  findCapture(paymentId: string): Promise<Capture | null>;
}

/** The provider did not answer, or its answer was lost. The outcome is unknown. */
export class GatewayUnavailable extends Error {
  override readonly name = "GatewayUnavailable";
}
