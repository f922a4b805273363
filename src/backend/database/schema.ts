import type { Generated, Selectable } from "kysely";
import type { PurchaseState } from "../../billing/purchase.ts";
import type { AssignmentStrategy } from "../../contract/constants.ts";

/**
 * The tables, the same on SQLite and PostgreSQL. Instants are milliseconds since the epoch, dates `YYYY-MM-DD`,
 * amounts minor units, flags 0 or 1, and what ends in `_json` is JSON text.
 */
export interface Database {
  settings: { name: string; value: string };
  organizations: { id: number; name: string; time_zone: string; assignment_strategy: Generated<AssignmentStrategy> };
  subscriptions: SubscriptionTable;
  users: UserTable;
  members: MemberTable;
  api_tokens: ApiTokenTable;
  sessions: SessionTable;
  sign_in_attempts: { id: string | null; email_key: string; address: string; at: number };
  used_codes: { user_id: number; step: number };
  sign_in_tickets: TicketTable;
  device_grants: DeviceGrantTable;
  quotes: QuoteTable;
  purchases: PurchaseTable;
  idempotency_keys: IdempotencyKeyTable;
  receipts: { organization_id: number; number: number; purchase_id: string; issued_at: number; licenses_after: number };
  credit_notes: { organization_id: number; number: number; purchase_id: string; issued_at: number };
  ledger: LedgerTable;
  events: EventTable;
  outbox: { id: string; payload_json: string; created_at: number; sent_at: number | null };
}

/** One subscription an organization. `version` changes with everything that a quote depends on (details.md, 14). */
interface SubscriptionTable {
  organization_id: number;
  plan: string;
  interval: "month" | "year";
  interval_count: number;
  anchor_date: string;
  /** The last term that a renewal was made for, or the one that the organization began with here. */
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
  /** When the next renewal falls due, by the billing clock; `null` where none will. */
  renew_at: number | null;
  /** The license count that is scheduled for a renewal. */
  reduction: number | null;
  /** The term that it counts from: the first one that began after it was scheduled. Renewals before may be missing yet. */
  reduction_term: number | null;
  /** The renewal that was made and is not paid yet: until it is, no further one is made. */
  unpaid_renewal: string | null;
}

/**
 * A person, who signs in once for all of their organizations; what an organization sees of them is in its membership.
 * `password_hash` is null until a seed's password is hashed, and empty where there is no password.
 */
interface UserTable {
  id: Generated<number>;
  /** Shown nowhere; SQLite cannot drop a unique column. */
  uuid: string;
  email: string;
  /** `emailKey` of the email: one person, however it is typed. */
  email_key: string;
  password_hash: string | null;
  totp_secret: string | null;
}

/** A person in one organization, with what that organization entered or gave them; nothing comes from another one. */
interface MemberTable {
  /** The `idUser` that the organization sees. */
  id: Generated<number>;
  organization_id: number;
  user_id: number;
  uuid: string;
  email: string;
  first_name: string | null;
  last_name: string | null;
  role: number;
  admin_no_training: number;
  status: "ACTIVE" | "INVITED" | "REMOVED";
  joined_at: number | null;
  /** The organization's when they were added last. */
  assignment_strategy: string;
  /** 0 while a person of other organizations is only invited: the license is taken, and nothing is granted. */
  accepted: number;
}

interface ApiTokenTable {
  id: string;
  organization_id: number;
  user_id: number;
  name: string;
  token_hash: string;
  scopes_json: string;
  expires_at: number | null;
  revoked_at: number | null;
  limit_amount: number | null;
  limit_licenses: number | null;
  created_at: number | null;
  last4: string | null;
}

/** A signed-in session; the pair before the last rotation works once more for a minute (purchase.md, C4). */
interface SessionTable {
  id: string;
  user_id: number;
  access_hash: string;
  access_expires_at: number;
  refresh_hash: string;
  refresh_expires_at: number;
  previous_refresh_hash: string | null;
  rotated_at: number | null;
  revoked_at: number | null;
  /** When its person last gave a one-time code. */
  mfa_at: number | null;
}

/** Proof of a step of signing in: `mfa` that the password was right, `page` that the whole sign-in on a page was. */
interface TicketTable {
  ticket_hash: string;
  user_id: number;
  kind: "mfa" | "page";
  tries: number;
  mfa_at: number | null;
  expires_at: number;
}

/** A device authorization (RFC 8628). `used` is approved and exchanged for tokens. Instants by the machine's clock. */
interface DeviceGrantTable {
  device_code_hash: string;
  user_code_hash: string;
  client_id: string;
  address: string;
  created_at: number;
  expires_at: number;
  interval_seconds: number;
  polled_at: number | null;
  /** Wrong sign-ins under its user code. */
  tries: number;
  state: "pending" | "approved" | "denied" | "used";
  user_id: number | null;
  mfa_at: number | null;
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

interface PurchaseTable {
  sequence: Generated<number>;
  id: string;
  organization_id: number;
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
  /** Its month in its token's spending limit, by the billing clock: accepted then, or once it is charged, charged then. */
  spent_at: number;
  completed_at: number | null;
  next_check_at: number | null;
  /** 1 when the last attempt to pay was made by a person on the payment page, who approves the payment by it. */
  by_person: number;
  /** Where a decline of the last attempt leads: to the end, or back to the person who is asked to pay. */
  on_decline: "declined" | "requires_approval";
  /** When the last attempt after the first began, by the billing clock. */
  attempted_at: number | null;
  /** Of a renewal: the term that it begins. There is one renewal of a term, whoever makes it. */
  renewal_term: number | null;
  /** Of a renewal: until when licenses stay usable although it is not paid, by the billing clock. */
  grace_until: number | null;
}

/** A key belongs to one purchase for ever, or is void for ever when `purchase_id` is null. */
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
  id: Generated<number>;
  organization_id: number;
  at: number;
  type: string;
  actor: string;
  purchase_id: string | null;
  data_json: string;
}

/** A subscription as stored. */
export type SubscriptionRow = Selectable<SubscriptionTable>;

/** A purchase as stored. */
export type PurchaseRow = Selectable<PurchaseTable>;

/** An API token as stored. */
export type ApiTokenRow = Selectable<ApiTokenTable>;

/** A device authorization as stored. */
export type DeviceGrantRow = Selectable<DeviceGrantTable>;

/** A step of signing in as stored. */
export type TicketRow = Selectable<TicketTable>;

/** A session as stored. */
export type SessionRow = Selectable<SessionTable>;

/** A user as stored. */
export type UserRow = Selectable<UserTable>;

/** A quote as stored. */
export type QuoteRow = Selectable<QuoteTable>;

/** An entry of the audit log as stored. */
export type EventRow = Selectable<EventTable>;
