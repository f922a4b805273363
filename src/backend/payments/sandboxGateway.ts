import type Libsql from "libsql";
import { currencyExponent } from "../../billing/money.ts";
import type { PaymentMethod } from "../../contract/basics.ts";
import type { BillingClock } from "../deps.ts";
import { CARDS } from "./cards.ts";
import {
  GatewayUnavailable,
  type Payment,
  type PaymentAttempt,
  type PaymentGateway,
  type PaymentRequest,
  type PaymentStatus,
} from "./gateway.ts";

/** How long a `card_processing` payment takes to settle, billing clock, so that moving the clock settles it. */
const SETTLE_MS = 2_000;

/** The stored method of a payment without one. */
const NO_METHOD = "";

/** The statuses, in SQL, of a payment that has not taken money and is not taking it. */
const CHARGEABLE = "'requires_confirmation', 'requires_payment_method', 'requires_action'";

/** How many captures a page has. */
const CAPTURES_PAGE = 1_000;

/** A captured payment, for `GET /sandbox`. */
export interface Capture {
  readonly paymentId: string;
  readonly purchaseId: string;
  readonly amount: number;
  readonly currency: string;
  readonly refunded: number;
}

/** A page of captures, oldest first. `next` is the cursor of the next page, `null` on the last one. */
export interface CapturePage {
  readonly captures: readonly Capture[];
  readonly next: number | null;
}

interface PaymentRecord {
  rowid: number;
  id: string;
  purchase_id: string;
  amount: number;
  currency: string;
  method: string;
  status: PaymentStatus;
  refunded: number;
  settles_at: number | null;
}

/**
 * The payment provider of the sandbox. Like a real one it keeps its own record, so that its captures do not depend on what
 * happens to the backend.
 *
 * @param database the provider's own, not the backend's
 * @param deps payments settle by the billing clock and are created by the machine's
 */
export function sandboxGateway(
  database: Libsql.Database,
  deps: { clock: BillingClock; now(): number; random(bytes: number): Buffer; reach(point: string): void },
): PaymentGateway & { captures(after?: number): CapturePage } {
  database.exec(`
    create table if not exists payments (
      id text primary key, purchase_id text not null, create_key text not null unique, confirm_key text,
      amount integer not null, currency text not null, method text not null, status text not null,
      settles_at integer, refunded integer not null default 0, refund_key text unique, created_at integer not null);
    create index if not exists payments_status on payments (status);
    create table if not exists attempts (key text primary key, payment_id text not null);`);

  const load = (column: "id" | "create_key", value: string): Payment => {
    settleDue();
    const record = database.prepare(`select * from payments where ${column} = ?`).get(value) as
      | PaymentRecord
      | undefined;
    if (!record) throw new GatewayUnavailable(`The provider has no payment ${value}`);
    return paymentOf(record);
  };
  const settleDue = () =>
    database
      .prepare("update payments set status = 'succeeded' where status = 'processing' and settles_at <= ?")
      .run(deps.clock.now());

  return {
    account: { mode: "sandbox", seller: "Example Seller Ltd (made up)" },
    minimumCharge: (currency) => minimumCharge(currency),
    chargeStep: () => 1,
    choices: () => Object.entries(CARDS).map(([id, { label }]) => ({ id, label })),
    describe: (method): PaymentMethod => ({ type: "card", label: CARDS[method]?.label ?? method }),

    async create(request: PaymentRequest) {
      deps.reach("B3");
      database
        .prepare(
          `insert into payments (id, purchase_id, create_key, amount, currency, method, status, created_at)
           values (?, ?, ?, ?, ?, ?, ?, ?) on conflict (create_key) do nothing`,
        )
        .run(
          `pay_${deps.random(12).toString("hex")}`,
          request.purchaseId,
          request.idempotencyKey,
          request.amount.amount,
          request.amount.currency,
          request.paymentMethod ?? NO_METHOD,
          request.paymentMethod === null ? "requires_payment_method" : "requires_confirmation",
          deps.now(),
        );
      return load("create_key", request.idempotencyKey);
    },

    async confirm(paymentId, attempt) {
      deps.reach("B6");
      const isNew = database.transaction(() => charge(database, paymentId, attempt, deps.clock.now()))();
      if (isNew && attempt.paymentMethod === "card_timeout") {
        throw new GatewayUnavailable("The provider's answer was lost");
      }
      return load("id", paymentId);
    },

    read: async (paymentId) => load("id", paymentId),

    async cancel(paymentId) {
      database
        .prepare(`update payments set status = 'canceled' where id = ? and status in (${CHARGEABLE})`)
        .run(paymentId);
      return load("id", paymentId);
    },

    async refund(paymentId, idempotencyKey) {
      database
        .prepare(
          "update payments set refunded = amount, refund_key = ? where id = ? and status = 'succeeded' and refund_key is null",
        )
        .run(idempotencyKey, paymentId);
    },

    async unconfirmed(createdBefore) {
      const records = database
        .prepare(`select * from payments where confirm_key is null and status in (${CHARGEABLE}) and created_at < ?`)
        .all(createdBefore) as PaymentRecord[];
      return records.map(paymentOf);
    },

    captures(after = 0) {
      settleDue();
      const records = database
        .prepare("select rowid, * from payments where status = 'succeeded' and rowid > ? order by rowid limit ?")
        .all(after, CAPTURES_PAGE + 1) as PaymentRecord[];
      const page = records.slice(0, CAPTURES_PAGE);
      const captures = page.map(({ id, purchase_id, amount, currency, refunded }) => ({
        paymentId: id,
        purchaseId: purchase_id,
        amount,
        currency,
        refunded,
      }));
      return { captures, next: records.length > page.length ? (page.at(-1)?.rowid ?? null) : null };
    },
  };
}

/** Makes an attempt unless its key was used before. Returns whether it was made. */
function charge(database: Libsql.Database, paymentId: string, attempt: PaymentAttempt, now: number): boolean {
  const { idempotencyKey, paymentMethod, approvedByPerson } = attempt;
  const taken = database
    .prepare("insert into attempts (key, payment_id) values (?, ?) on conflict (key) do nothing")
    .run(idempotencyKey, paymentId);
  if (taken.changes === 0) return false;
  const usual = CARDS[paymentMethod]?.status ?? "requires_payment_method";
  const status = usual === "requires_action" && approvedByPerson ? "succeeded" : usual;
  const { changes } = database
    .prepare(
      `update payments set status = ?, method = ?, confirm_key = ?, settles_at = ?
       where id = ? and status in (${CHARGEABLE}) and confirm_key is not ?`,
    )
    .run(
      status,
      paymentMethod,
      idempotencyKey,
      status === "processing" ? now + SETTLE_MS : null,
      paymentId,
      idempotencyKey,
    );
  return changes > 0;
}

function paymentOf(record: PaymentRecord): Payment {
  const failure = record.status === "requires_payment_method" ? CARDS[record.method]?.failure : undefined;
  return {
    id: record.id,
    purchaseId: record.purchase_id,
    status: record.status,
    amount: { amount: record.amount, currency: record.currency },
    failure: failure ?? null,
  };
}

/** The smallest charge: 30 minor units of a two-decimal currency, 50 of JPY, none otherwise (src/billing/README.md, Quotes). */
function minimumCharge(currency: string): number {
  if (currency === "JPY") return 50;
  return currencyExponent(currency) === 2 ? 30 : 0;
}
