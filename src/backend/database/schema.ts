import type { Generated, Selectable } from "kysely";
import type { PurchaseState } from "../../billing/purchase.ts";
import type { AssignmentStrategy } from "../../contract/constants.ts";
import type { CheckpointTable, EventHashTable, EventKeyTable, EventTable } from "./eventTables.ts";
import type {
  ApiTokenTable,
  DeviceGrantTable,
  MemberTable,
  SessionTable,
  TicketTable,
  TokenIndexTable,
  UserTable,
} from "./identityTables.ts";
import type { PurchaseTable } from "./purchaseTable.ts";

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
  token_index: TokenIndexTable;
  sessions: SessionTable;
  sign_in_attempts: { id: string | null; email_key: string; address: string; at: number };
  used_codes: { user_id: number; step: number };
  sign_in_tickets: TicketTable;
  device_grants: DeviceGrantTable;
  policy_changes: PolicyChangeTable;
  quotes: QuoteTable;
  purchases: PurchaseTable;
  idempotency_keys: IdempotencyKeyTable;
  receipts: DocumentTable & { licenses_after: number };
  credit_notes: DocumentTable;
  ledger: LedgerTable;
  events: EventTable;
  event_hashes: EventHashTable;
  checkpoints: CheckpointTable;
  event_keys: EventKeyTable;
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
  /** The policy: the total above which a purchase needs a second administrator, `null` for never. */
  approval_above: Generated<number | null>;
  /** The policy: what may be spent in a calendar month or year of the billing time zone, `null` without a limit. */
  budget_amount: Generated<number | null>;
  budget_period: Generated<"month" | "year" | null>;
  /** Of what was told of the budget last: its period, percentage and amount, such as `2026-11 80 200000`. */
  budget_told: Generated<string | null>;
}

/** The state of a subscription at the provider: unpaid renewals are first `past_due`, then `unpaid`. */
export type ProviderStatus = "active" | "past_due" | "unpaid" | "canceled";

/** A change that loosens the policy, or changes who is an administrator, and waits for a second one. */
interface PolicyChangeTable {
  organization_id: number;
  id: string;
  kind: string;
  change_json: string;
  /** The user who asked for it. */
  asked_by: number;
  asked_by_email: string;
  /** Billing clock. */
  asked_at: number;
  /** When it is made by itself, billing clock; `null` while it needs a second administrator. */
  due_at: number | null;
}

interface QuoteTable {
  id: string;
  organization_id: number;
  licenses: number;
  subscription_version: number;
  purchase_date: string;
  expires_at: number;
  quote_json: string;
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

/** A checkpoint as stored. */
export type CheckpointRow = Selectable<CheckpointTable>;

/** A change of the policy that waits, as stored. */
export type PolicyChangeRow = Selectable<PolicyChangeTable>;
