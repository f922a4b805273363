import type { EventEmitter } from "node:events";
import type { Kysely } from "kysely";
import type { Seller } from "../contract/billingDetails.ts";
import type { Database, PurchaseRow } from "./database/schema.ts";
import type { SecretBox } from "./identity/secretBox.ts";
import type { PaymentGateway } from "./payments/gateway.ts";

/** The billing clock, which a sandbox can move (src/backend/README.md, Leases and the sweep). */
export interface BillingClock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/** A message for the organization's administrators; delivered at least once, deduplicated by `id`. */
export interface Notification {
  readonly id: string;
  readonly type: string;
  readonly organizationId: number;
  /** The purchase that it is about; `null` for none. */
  readonly purchaseId: string | null;
  /** Its buyer, or an administrator who may approve it; `null` for all administrators. */
  readonly to: string | null;
  /** Sentences for people, unless the type says it all. */
  readonly text?: string;
  /** The facts in `text`, for programs. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/** How a purchase ended. `seconds` is how long that took since its last attempt to pay began, by the billing clock. */
export interface SettledPurchase {
  readonly kind: "purchase" | "renewal";
  readonly outcome: "fulfilled" | "declined" | "canceled" | "expired" | "refunded";
  readonly seconds: number;
}

/** Where notifications go. */
export interface Notifier {
  deliver(notification: Notification): Promise<void>;
}

/** The dependencies of the backend. */
export interface BackendDeps {
  readonly database: Kysely<Database>;
  readonly gateway: PaymentGateway;
  /** What receipts name as the seller from now on; `null` to name none. */
  readonly seller: Seller | null;
  readonly notifier: Notifier;
  readonly clock: BillingClock;
  /** The machine's clock, in milliseconds: leases, sign-in and rate limits follow it. */
  now(): number;
  random(bytes: number): Buffer;
  /** Marks a crash point; does nothing unless a test armed it (src/backend/README.md, Crash points). */
  reach(point: string): void;
  /** Emits a purchase's ID when a worker of this process has advanced it, for requests that wait. */
  readonly changes: EventEmitter;
  /**
   * Writes a line to the operator's log; lines must not contain secrets.
   *
   * @param error what went wrong, whose message may contain anything
   */
  log(line: string, error?: unknown): void;
  /** The leases that this process has now, to give back those of work that does not end in time. */
  readonly leases?: Set<PurchaseRow>;
  /** Whether nothing can be bought and no renewal is made until the operator has reconciled the payments. */
  isHeld?(): boolean;
  /** Called after the commit with each purchase that settles, for metrics. */
  observe?(settled: SettledPurchase): void;
  /**
   * Returns the origin of the backend's pages for a caller: `https://billing.example.com`.
   *
   * @param host the request's `Host`; a sandbox, which accepts only loopback names, uses it
   */
  pageOrigin(host: string): string;
  /** Signs addresses of payment pages and forms: 32 random bytes, secret, the same for the life of the data. */
  readonly pageKey: Buffer;
  /** Earlier keys, whose signatures still count. */
  readonly olderPageKeys?: readonly Buffer[];
  /** Encrypts the secrets of one-time codes. */
  readonly secrets: SecretBox;
  /**
   * Where issuers of identity tokens may be besides the internet: nowhere, on this machine, or also in private networks
   * (src/backend/README.md, Trusts).
   */
  readonly issuersAt: "public" | "loopback" | "private";
  readonly version: string;
  /** The maximum number of licenses per purchase. */
  readonly licenseLimit: number;
  /** How many calendar days licenses stay usable while a renewal is unpaid (src/billing/README.md, Renewal). */
  readonly renewalGraceDays: number;
}
