import type { Generated, Selectable } from "kysely";
import type { PurchaseState } from "../../billing/purchase.ts";
import type { AssignmentStrategy } from "../../contract/constants.ts";
import type {
  ApiTokenTable,
  DeviceGrantTable,
  MemberTable,
  SessionTable,
  TicketTable,
  UserTable,
} from "./identityTables.ts";

/**
 * The tables, the same on SQLite and PostgreSQL. Instants are milliseconds since the epoch, dates `YYYY-MM-DD`,
 * amounts minor units, flags 0 or 1, and columns that end in `_json` JSON text.
 */
export interface Database {
  settings: { name: string; value: string };
  organizations: OrganizationTable;
  subscriptions: SubscriptionTable;
  users: UserTable;
  members: MemberTable;
  api_tokens: ApiTokenTable;
  /** Where the token of a hash is. */
  token_index: { token_hash: string; organization_id: number; token_id: string };
  sessions: SessionTable;
  sign_in_attempts: { id: string | null; email_key: string; address: string; at: number };
  used_codes: { user_id: number; step: number };
  sign_in_tickets: TicketTable;
  device_grants: DeviceGrantTable;
  quotes: QuoteTable;
  purchases: PurchaseTable;
  idempotency_keys: IdempotencyKeyTable;
  receipts: DocumentTable & { licenses_after: number };
  credit_notes: DocumentTable;
  ledger: LedgerTable;
  events: EventTable;
  outbox: OutboxTable;
  webhook_events: WebhookEventTable;
  provider_objects: ProviderObjectTable;
}

interface OrganizationTable {
  id: number;
  name: string;
  time_zone: string;
  assignment_strategy: Generated<AssignmentStrategy>;
  /** Billing clock; `null` for one from before this was noted. */
  created_at: Generated<number | null>;
  /** `StoredDetails`; `null` until they are set. */
  billing_json: Generated<string | null>;
}

/** A receipt or a credit note, with seller and buyer as they were when it was issued. */
interface DocumentTable {
  organization_id: number;
  number: number;
  purchase_id: string;
  issued_at: number;
  /** A `Seller`; `null` where none was set. */
  seller_json: Generated<string | null>;
  /** The organization's `billing_json`. */
  buyer_json: Generated<string | null>;
  /** `null` on those of before it was kept. */
  organization_name: Generated<string | null>;
}

/** One subscription per organization. `version` changes with everything that a quote depends on. */
interface SubscriptionTable {
  organization_id: number;
  plan: string;
  interval: "month" | "year";
  interval_count: number;
  anchor_date: string;
  /** The last term that a renewal was made for, or the first one. */
  term_index: number;
  unit_price: number;
  currency: string;
  tax_rate: string;
  licenses: number;
  used: number;
  auto_renew: number;
  payment_method: string | null;
  version: number;
  receipt_count: number;
  credit_note_count: number;
  /** How many purchases and renewals were accepted: the sequence of the newest. */
  purchase_count: Generated<number>;
  /** How many entries the audit log has: the number of the newest. */
  event_count: Generated<number>;
  /** When the next renewal falls due, billing clock; `null` without `auto_renew`. */
  renew_at: number | null;
  /** The scheduled license count. */
  reduction: number | null;
  /** The first term of the reduction, which is the first that starts after it was scheduled. */
  reduction_term: number | null;
  /** The unpaid renewal; until it is paid, no further one is made. */
  unpaid_renewal: string | null;
  /** Who pays, at a payment provider that knows customers. */
  customer_id: Generated<string | null>;
  payment_method_label: Generated<string | null>;
  /** The subscription that renews at the provider, and its item whose quantity is the license count; else `null`. */
  provider_subscription: Generated<string | null>;
  provider_item: Generated<string | null>;
  /** The quantity that the provider was last seen to have. */
  provider_quantity: Generated<number | null>;
  /** The state that the provider was last seen to have it in. */
  provider_status: Generated<ProviderStatus | null>;
  /** The last month in which the payment method can be charged, `YYYY-MM`; `null` if unknown. */
  payment_method_expires: Generated<string | null>;
  /** The page of the provider that asks for the next payment method, and how many there were. */
  card_entry: Generated<string | null>;
  card_entries: Generated<number>;
  /** When the next renewal reminder is due, billing clock; 0 until that is known, `null` for never. */
  remind_at: Generated<number | null>;
}

/** The state of a subscription at the provider: unpaid renewals are first `past_due`, then `unpaid`. */
export type ProviderStatus = "active" | "past_due" | "unpaid" | "canceled";

interface QuoteTable {
  id: string;
  organization_id: number;
  licenses: number;
  subscription_version: number;
  purchase_date: string;
  expires_at: number;
  quote_json: string;
}

interface PurchaseTable {
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
}

/** A key belongs to one purchase forever, or is void forever if `purchase_id` is null. */
interface IdempotencyKeyTable {
  organization_id: number;
  key: string;
  request_hash: string | null;
  purchase_id: string | null;
  created_at: number;
}

interface LedgerTable {
  id: Generated<number>;
  organization_id: number;
  purchase_id: string;
  kind: "charge" | "refund";
  amount: number;
  currency: string;
  at: number;
}

interface EventTable {
  organization_id: number;
  /** Counts the entries of the organization, in the order of their commits. */
  number: number;
  at: number;
  type: string;
  actor: string;
  purchase_id: string | null;
  data_json: string;
}

/** A notification to send at least once. */
interface OutboxTable {
  organization_id: number;
  id: string;
  payload_json: string;
  created_at: number;
  /** Until when the worker that sends it has it, machine clock. */
  claimed_until: Generated<number>;
  sent_at: number | null;
}

/** An event of the provider that was received. Nothing of its content counts but what it is about. */
interface WebhookEventTable {
  id: string;
  type: string;
  /** What a job has to read from the provider because of it. */
  object_id: string | null;
  /** Machine clock. */
  received_at: number;
  /** When a job handles it, machine clock; `null` once it is handled. */
  check_at: number | null;
}

/** A customer or subscription of the provider, and whose it is. */
interface ProviderObjectTable {
  id: string;
  kind: "customer" | "subscription";
  organization_id: number;
  /** When it is looked at next, billing clock. */
  check_at: number | null;
}

/** A subscription as stored. */
export type SubscriptionRow = Selectable<SubscriptionTable>;

/** A subscription with its organization's name and billing time zone, and its unpaid renewal. */
export interface OrganizationSubscription extends SubscriptionRow {
  readonly name: string;
  readonly time_zone: string;
  /** Of the unpaid renewal: its state, its total, its attempts after the first, and the end of the grace period. */
  readonly renewal_state: PurchaseState | null;
  readonly renewal_total: number | null;
  readonly renewal_attempts: number | null;
  readonly renewal_grace_until: number | null;
}

/** A purchase as stored. */
export type PurchaseRow = Selectable<PurchaseTable>;

/** Identifies a purchase. */
export type PurchaseKey = Pick<PurchaseRow, "organization_id" | "id">;

/** An API token as stored. */
export type ApiTokenRow = Selectable<ApiTokenTable>;

/** A device authorization as stored. */
export type DeviceGrantRow = Selectable<DeviceGrantTable>;

/** A step of signing in as stored. */
export type TicketRow = Selectable<TicketTable>;

/** A session as stored. */
export type SessionRow = Selectable<SessionTable>;

/** A receipt or a credit note as stored. */
export type DocumentRow = Selectable<DocumentTable>;

/** A user as stored. */
export type UserRow = Selectable<UserTable>;

/** A quote as stored. */
export type QuoteRow = Selectable<QuoteTable>;

/** An entry of the audit log as stored. */
export type EventRow = Selectable<EventTable>;
