import { atomically, preparer, type SqliteConnection } from "../database/sqlite.ts";
import type { BillingClock } from "../deps.ts";
import {
  CAPTURES_PAGE,
  CARD_RULES,
  type CapturedCardPayment,
  captureOf,
  losesAnswer,
  outcomeOf,
  reportOf,
  SANDBOX_SELLER,
  unconfirmedColumns,
} from "./cards.ts";
import {
  CHARGEABLE_STATUSES,
  type Capture as FullCapture,
  GatewayUnavailable,
  type Payment,
  type PaymentAttempt,
  type PaymentGateway,
  type PaymentRequest,
} from "./gateway.ts";

const MODE = "sandbox";

/** The statuses, in SQL, of a payment that has not taken money and is not taking it. */
const CHARGEABLE = CHARGEABLE_STATUSES.map((status) => `'${status}'`).join(", ");

/** A captured payment, for `GET /sandbox`. */
export type Capture = Omit<FullCapture, "kind" | "capturedAt" | "refundPending">;

/** A page of captures, oldest first. `next` is the cursor of the next page, `null` on the last one. */
export interface CapturePage {
  readonly captures: readonly Capture[];
  readonly next: number | null;
}

interface PaymentRecord extends CapturedCardPayment {
  rowid: number;
  settles_at: number | null;
}

/** Columns that the first version did not have. */
const LATER_COLUMNS = { kind: "text", captured_at: "integer", refunded_at: "integer" };

function addLaterColumns(database: SqliteConnection): void {
  const columns = database.prepare("select name from pragma_table_info('payments')").all() as { name: string }[];
  const known = columns.map(({ name }) => name);
  for (const [name, type] of Object.entries(LATER_COLUMNS)) {
    if (!known.includes(name)) database.exec(`alter table payments add column ${name} ${type}`);
  }
}

/**
 * The payment provider of the sandbox. Like a real one it keeps its own record, so that its captures do not depend on what
 * happens to the backend.
 *
 * @param database the provider's own, not the backend's
 * @param deps payments settle by the billing clock and are created by the machine's
 */
export function sandboxGateway(
  database: SqliteConnection,
  deps: { clock: BillingClock; now(): number; random(bytes: number): Buffer },
): PaymentGateway & { captures(after?: number): CapturePage } {
  database.exec(`
    create table if not exists payments (
      id text primary key, purchase_id text not null, create_key text not null unique, confirm_key text,
      amount integer not null, currency text not null, method text not null, status text not null,
      settles_at integer, refunded integer not null default 0, refund_key text unique, created_at integer not null);
    create index if not exists payments_status on payments (status);
    create table if not exists attempts (key text primary key, payment_id text not null);`);
  addLaterColumns(database);

  const prepare = preparer(database);

  const load = (column: "id" | "create_key", value: string): Payment => {
    const record = prepare(`select * from payments where ${column} = ?`).get(value) as PaymentRecord | undefined;
    if (!record) throw new GatewayUnavailable(`The provider has no payment ${value}`);
    const hasSettled = record.status === "processing" && (record.settles_at ?? 0) <= deps.clock.now();
    if (hasSettled) settleDue();
    return reportOf(hasSettled ? { ...record, status: "succeeded" } : record, MODE);
  };
  const settleDue = () =>
    prepare(
      "update payments set status = 'succeeded', captured_at = settles_at where status = 'processing' and settles_at <= ?",
    ).run(deps.clock.now());

  return {
    ...CARD_RULES,
    account: { mode: MODE, seller: SANDBOX_SELLER.name },

    async create(request: PaymentRequest) {
      const { method, status } = unconfirmedColumns(request.paymentMethod);
      prepare(
        `insert into payments (id, purchase_id, kind, create_key, amount, currency, method, status, created_at)
           values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (create_key) do nothing`,
      ).run(
        `pay_${deps.random(12).toString("hex")}`,
        request.purchaseId,
        request.kind,
        request.idempotencyKey,
        request.amount.amount,
        request.amount.currency,
        method,
        status,
        deps.now(),
      );
      return load("create_key", request.idempotencyKey);
    },

    async confirm(paymentId, attempt) {
      const isNew = atomically(database, () => charge(prepare, paymentId, attempt, deps.clock.now()));
      if (isNew && losesAnswer(attempt)) {
        throw new GatewayUnavailable("The provider's answer was lost");
      }
      return load("id", paymentId);
    },

    read: async (paymentId) => load("id", paymentId),

    async cancel(paymentId) {
      prepare(`update payments set status = 'canceled' where id = ? and status in (${CHARGEABLE})`).run(paymentId);
      return load("id", paymentId);
    },

    async refund(paymentId, idempotencyKey) {
      prepare(
        `update payments set refunded = amount, refund_key = ?, refunded_at = ?
           where id = ? and status = 'succeeded' and refund_key is null`,
      ).run(idempotencyKey, deps.clock.now(), paymentId);
      return "succeeded";
    },

    async unconfirmed(createdBefore) {
      const records = prepare(
        `select * from payments where confirm_key is null and status in (${CHARGEABLE}) and created_at < ?`,
      ).all(createdBefore) as PaymentRecord[];
      return records.map((record) => reportOf(record, MODE));
    },

    async listCaptures(from, after) {
      settleDue();
      const records = prepare(
        `select * from payments where status = 'succeeded' and id > ?
           and (coalesce(captured_at, created_at) >= ? or refunded_at >= ?) order by id limit ?`,
      ).all(after ?? "", from, from, CAPTURES_PAGE) as PaymentRecord[];
      const next = records.length === CAPTURES_PAGE ? (records.at(-1)?.id ?? null) : null;
      return { captures: records.map(captureOf), next };
    },

    async findCapture(paymentId) {
      settleDue();
      const record = prepare("select * from payments where id = ? and status = 'succeeded'").get(paymentId) as
        | PaymentRecord
        | undefined;
      return record ? captureOf(record) : null;
    },

    captures(after = 0) {
      settleDue();
      const records = prepare(
        "select rowid, * from payments where status = 'succeeded' and rowid > ? order by rowid limit ?",
      ).all(after, CAPTURES_PAGE + 1) as PaymentRecord[];
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
function charge(
  prepare: ReturnType<typeof preparer>,
  paymentId: string,
  attempt: PaymentAttempt,
  now: number,
): boolean {
  const { idempotencyKey, paymentMethod } = attempt;
  const taken = prepare("insert into attempts (key, payment_id) values (?, ?) on conflict (key) do nothing").run(
    idempotencyKey,
    paymentId,
  );
  if (taken.changes === 0) return false;
  const { status, settlesAt } = outcomeOf(attempt, now);
  const { changes } = prepare(
    `update payments set status = ?, method = ?, confirm_key = ?, settles_at = ?, captured_at = ?
       where id = ? and status in (${CHARGEABLE}) and confirm_key is not ?`,
  ).run(
    status,
    paymentMethod,
    idempotencyKey,
    settlesAt,
    status === "succeeded" ? now : null,
    paymentId,
    idempotencyKey,
  );
  return changes > 0;
}
