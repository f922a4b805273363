import type { Kysely } from "kysely";
import type { Database } from "./database/schema.ts";
import type { PaymentGateway } from "./payments/gateway.ts";

/** The billing clock: terms, quotes, purchases and sweeps follow it; a sandbox's can be set (details.md, 26). */
export interface BillingClock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/** A message for the organization's administrators; delivered at least once, deduplicated by `id`. */
export interface Notification {
  readonly id: string;
  readonly type: string;
  readonly organizationId: number;
  readonly purchaseId: string;
  readonly to: string | null;
}

/** Where notifications go. */
export interface Notifier {
  deliver(notification: Notification): Promise<void>;
}

/** What the backend is built from; tests bring their own. */
export interface BackendDeps {
  readonly database: Kysely<Database>;
  readonly gateway: PaymentGateway;
  readonly notifier: Notifier;
  readonly clock: BillingClock;
  /** The machine's clock, in milliseconds: leases, sign-in and rate limits follow it. */
  now(): number;
  random(bytes: number): Buffer;
  /** Crash points: does nothing unless a test armed it (purchase.md, Crash points). */
  reach(point: string): void;
  /** One line of the operator's log, without secrets. */
  log(line: string): void;
  /**
   * Where the backend's pages are for whoever called it: `https://billing.example.com`.
   *
   * @param host the `Host` that the request named; a sandbox, which answers to loopback names alone, goes by it
   */
  pageOrigin(host: string): string;
  /** Signs what is in the addresses of payment pages; secret, 32 random bytes, the same for the life of the data. */
  readonly pageKey: Buffer;
  readonly version: string;
  /** The most licenses of one purchase. */
  readonly licenseLimit: number;
  /** How many calendar days licenses stay usable while a renewal is not paid (billing-rules.md, Renewal). */
  readonly renewalGraceDays: number;
}
