import type { Money } from "../../billing/money.ts";
import type { PaymentMethod } from "../../contract/basics.ts";

/** Where a payment is, in Stripe's words (PaymentIntent status). `requires_payment_method` after a confirm is a decline. */
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

/** What a payment is made of; frozen when the purchase is accepted, so that it is the same whoever sends it again. */
export interface PaymentRequest {
  readonly idempotencyKey: string;
  readonly purchaseId: string;
  readonly amount: Money;
  /** `null` where the organization has none: a person chooses one on the payment page. */
  readonly paymentMethod: string | null;
}

/** One attempt to get the money; frozen before it is sent, so that it is the same whoever sends it again. */
export interface PaymentAttempt {
  readonly idempotencyKey: string;
  readonly paymentMethod: string;
  /** A person approves the payment on the payment page now, so that the bank need not ask for it. */
  readonly approvedByPerson: boolean;
}

/** A payment method that a person may choose on the payment page. */
export interface PaymentChoice {
  readonly id: string;
  readonly label: string;
}

/** Whom people pay, and whether that moves money. */
export interface PaymentAccount {
  readonly mode: "live" | "test" | "sandbox";
  /** The seller's name, as the payment page shows it. */
  readonly seller: string;
}

/**
 * A payment provider, shaped as purchase.md, Paying: create unconfirmed, commit the id, confirm, read. Every call may
 * throw `GatewayUnavailable`: then nothing is known, and only `read` can tell.
 */
export interface PaymentGateway {
  readonly account: PaymentAccount;
  /** The smallest total above zero that can be charged, in minor units; 0 where there is none. */
  minimumCharge(currency: string): number;
  /** The step that amounts are charged in, in minor units; 1 for most. */
  chargeStep(currency: string): number;
  /** How a payment method is shown. */
  describe(paymentMethod: string): PaymentMethod;
  /** Creates a payment that moves no money yet. The same key gives the same payment. */
  create(request: PaymentRequest): Promise<Payment>;
  /** The payment methods that the payment page offers beside the organization's own. */
  choices(): readonly PaymentChoice[];
  /** Asks for the money. The same key gives the same outcome, also after a later attempt under another key. */
  confirm(paymentId: string, attempt: PaymentAttempt): Promise<Payment>;
  /** The payment as it is now. */
  read(paymentId: string): Promise<Payment>;
  /** Cancels a payment that has taken no money and is taking none; any other stays as it is. */
  cancel(paymentId: string): Promise<Payment>;
  /** Returns the whole captured amount. The same key refunds once. */
  refund(paymentId: string, idempotencyKey: string): Promise<void>;
  /** Payments that were created before an instant (machine milliseconds) and never confirmed. */
  unconfirmed(createdBefore: number): Promise<readonly Payment[]>;
}

/** The provider did not answer, or its answer was lost: the outcome is unknown. */
export class GatewayUnavailable extends Error {
  override readonly name = "GatewayUnavailable";
}
