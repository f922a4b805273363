import type Libsql from "libsql";
import { currencyExponent } from "../../billing/money.ts";
import type { PaymentMethod } from "../../contract/basics.ts";
import {
  GatewayUnavailable,
  type Payment,
  type PaymentGateway,
  type PaymentRequest,
  type PaymentStatus,
} from "./gateway.ts";

/** How the sandbox's test cards behave (cli.md, Seed file). */
const CARDS: Readonly<
  Record<string, { label: string; status: PaymentStatus; failure?: { code: string; message: string } }>
> = {
  card_ok: { label: "Visa ending in 4242 (test card)", status: "succeeded" },
  card_declined: {
    label: "Visa ending in 0002 (test card, declined)",
    status: "requires_payment_method",
    failure: { code: "card_declined", message: "The bank declined the card." },
  },
  card_insufficient_funds: {
    label: "Visa ending in 9995 (test card, insufficient funds)",
    status: "requires_payment_method",
    failure: { code: "insufficient_funds", message: "The card has insufficient funds." },
  },
  card_requires_approval: {
    label: "Visa ending in 3220 (test card, asks for approval)",
    status: "requires_payment_method",
    failure: {
      code: "approval_not_supported",
      message: "The bank wants a person to approve this payment, which this version cannot ask for yet.",
    },
  },
  card_processing: { label: "Bank debit ending in 6789 (test, settles after 2 seconds)", status: "processing" },
  card_timeout: { label: "Visa ending in 0119 (test card, answers get lost)", status: "succeeded" },
};

/** Every payment method that a seed may name. */
export const SANDBOX_PAYMENT_METHODS = Object.keys(CARDS);

/** How long a `card_processing` payment takes to settle. */
const SETTLE_MS = 2_000;

/** What the provider captured, for `GET /sandbox`. */
export interface Capture {
  readonly paymentId: string;
  readonly purchaseId: string;
  readonly amount: number;
  readonly currency: string;
  readonly refunded: number;
}

interface PaymentRecord {
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
 * A payment provider for the sandbox. It keeps its own record in a database of its own, as a real provider would: what
 * it captured survives whatever happens to the backend.
 *
 * @param database the provider's own, not the backend's
 */
export function sandboxGateway(
  database: Libsql.Database,
  deps: { now(): number; random(bytes: number): Buffer; reach(point: string): void },
): PaymentGateway & { captures(): Capture[] } {
  database.exec(`
    create table if not exists payments (
      id text primary key, purchase_id text not null, create_key text not null unique, confirm_key text,
      amount integer not null, currency text not null, method text not null, status text not null,
      settles_at integer, refunded integer not null default 0, refund_key text unique, created_at integer not null);
    create index if not exists payments_status on payments (status);`);

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
      .run(deps.now());

  return {
    minimumCharge: (currency) => minimumCharge(currency),
    chargeStep: () => 1,
    describe: (method): PaymentMethod => ({ type: "card", label: CARDS[method]?.label ?? method }),

    async create(request: PaymentRequest) {
      deps.reach("B3");
      database
        .prepare(
          `insert into payments (id, purchase_id, create_key, amount, currency, method, status, created_at)
           values (?, ?, ?, ?, ?, ?, 'requires_confirmation', ?) on conflict (create_key) do nothing`,
        )
        .run(
          `pay_${deps.random(12).toString("hex")}`,
          request.purchaseId,
          request.idempotencyKey,
          request.amount.amount,
          request.amount.currency,
          request.paymentMethod,
          deps.now(),
        );
      return load("create_key", request.idempotencyKey);
    },

    async confirm(paymentId, idempotencyKey) {
      deps.reach("B6");
      const record = database.prepare("select method from payments where id = ?").get(paymentId);
      const method = (record as PaymentRecord | undefined)?.method ?? "";
      const status = CARDS[method]?.status ?? "requires_payment_method";
      const { changes } = database
        .prepare(
          `update payments set status = ?, confirm_key = ?, settles_at = ?
           where id = ? and status in ('requires_confirmation', 'requires_payment_method')
             and (confirm_key is null or confirm_key <> ?)`,
        )
        .run(
          status,
          idempotencyKey,
          status === "processing" ? deps.now() + SETTLE_MS : null,
          paymentId,
          idempotencyKey,
        );
      if (changes > 0 && method === "card_timeout") throw new GatewayUnavailable("The provider's answer was lost");
      return load("id", paymentId);
    },

    read: async (paymentId) => load("id", paymentId),

    async cancel(paymentId) {
      database
        .prepare("update payments set status = 'canceled' where id = ? and status = 'requires_confirmation'")
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
        .prepare("select * from payments where status = 'requires_confirmation' and created_at < ?")
        .all(createdBefore) as PaymentRecord[];
      return records.map(paymentOf);
    },

    captures() {
      settleDue();
      const records = database
        .prepare("select * from payments where status = 'succeeded' order by created_at, rowid")
        .all() as PaymentRecord[];
      return records.map(({ id, purchase_id, amount, currency, refunded }) => ({
        paymentId: id,
        purchaseId: purchase_id,
        amount,
        currency,
        refunded,
      }));
    },
  };
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

/** billing-rules.md, Proration: 30 minor units of a two-decimal currency, 50 of JPY, 0 elsewhere. */
function minimumCharge(currency: string): number {
  if (currency === "JPY") return 50;
  return currencyExponent(currency) === 2 ? 30 : 0;
}
