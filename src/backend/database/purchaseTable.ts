import type { Generated } from "kysely";
import type { PurchaseState } from "../../billing/purchase.ts";

/** A purchase or renewal. */
export interface PurchaseTable {
  organization_id: number;
  /** `pur_<organization>_<random>`; older sandboxes have some without the organization. */
  id: string;
  /** Counts the purchases and renewals of the organization. */
  sequence: number;
  kind: "purchase" | "renewal";
  state: PurchaseState;
  epoch: number;
  lease_until: number;
  quote_id: string | null;
  idempotency_key: string | null;
  licenses: number;
  total: number;
  currency: string;
  price_json: string;
  /** The billing time zone, frozen at acceptance like the price. */
  time_zone: string;
  purchase_order: string | null;
  note: string | null;
  buyer_email: string | null;
  buyer_token_id: string | null;
  buyer_token_name: string | null;
  payment_method: string | null;
  payment_id: string | null;
  confirm_count: number;
  failure_code: string | null;
  failure_message: string | null;
  accepted_at: number;
  /** When it was accepted or, once charged, charged: decides its month in a spending limit. Billing clock. */
  spent_at: number;
  completed_at: number | null;
  next_check_at: number | null;
  /** 1 if a person made the last attempt to pay on the payment page, which approves the payment. */
  by_person: number;
  /** The state after a decline of the last attempt: the end, or another wait for the person. */
  on_decline: "declined" | "requires_approval";
  /** When the last attempt after the first began, billing clock. */
  attempted_at: number | null;
  /** Of a renewal: the term that it starts. Unique, so that a term is renewed once. */
  renewal_term: number | null;
  /** Of a renewal: the end of its grace period, billing clock. */
  grace_until: number | null;
  /** Who pays, frozen at acceptance, or when the customer was created. */
  customer_id: Generated<string | null>;
  payment_method_label: Generated<string | null>;
  /**
   * The provider's last attempt before the attempt `noted_attempt`, of `confirm_count`: once the provider has another, the
   * attempt was answered.
   */
  attempt_before: Generated<string | null>;
  noted_attempt: Generated<number>;
  /** How many keys of the current request the provider has spoiled, and from when on the next is used, billing clock. */
  key_retries: Generated<number>;
  key_retry_at: Generated<number | null>;
  /** Where the person who makes the attempt comes back to from their bank. */
  return_url: Generated<string | null>;
  /** The page of the provider that asks for a card, and how many there were. */
  card_entry: Generated<string | null>;
  card_entries: Generated<number>;
  /** Who bought it, or made the token that did; `null` for a renewal, and on purchases of before it was kept. */
  buyer_user_id: Generated<number | null>;
  /** Who paid it again when it began to wait for another administrator; `null` for none, and for a payment page. */
  payer_user_id: Generated<number | null>;
  /** The administrator who approved it where the policy asks for one, and when, billing clock. */
  approved_by: Generated<string | null>;
  approved_at: Generated<number | null>;
}
