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
  readonly paymentMethod: string;
}

/**
 * A payment provider, shaped as purchase.md, Paying: create unconfirmed, commit the id, confirm, read. Every call may
 * throw `GatewayUnavailable`: then nothing is known, and only `read` can tell.
 */
export interface PaymentGateway {
  /** The smallest total above zero that can be charged, in minor units; 0 where there is none. */
  minimumCharge(currency: string): number;
  /** The step that amounts are charged in, in minor units; 1 for most. */
  chargeStep(currency: string): number;
  /** How a payment method is shown. */
  describe(paymentMethod: string): PaymentMethod;
  /** Creates a payment that moves no money yet. The same key gives the same payment. */
  create(request: PaymentRequest): Promise<Payment>;
  /** Asks for the money. The same key gives the same outcome. */
  confirm(paymentId: string, idempotencyKey: string): Promise<Payment>;
  /** The payment as it is now. */
  read(paymentId: string): Promise<Payment>;
  /** Cancels a payment that was never confirmed; one that was stays as it is. */
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
