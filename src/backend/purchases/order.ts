import { BackendError } from "../errors.ts";
import type { Buyer } from "../events/events.ts";

/** An order. `requestHash` identifies its contents, so that the same key with another order is refused. */
export interface Order {
  readonly purchaseId: string;
  readonly organizationId: number;
  /** The organization's billing time zone. */
  readonly timeZone: string;
  readonly idempotencyKey: string;
  readonly requestHash: string;
  readonly quoteId: string;
  readonly purchaseOrder: string | null;
  readonly note: string | null;
  readonly buyer: Buyer;
  /** Whether the organization had a policy when the request arrived; it may have one since. */
  readonly hasPolicy: boolean;
}

/** The problem of a voided key. */
export function keyIsVoid(): BackendError {
  return new BackendError(
    "idempotency_key_void",
    "This Idempotency-Key was voided: nothing is or will be bought under it",
  );
}
