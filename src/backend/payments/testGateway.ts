import type { Generated, Kysely, Selectable } from "kysely";
import type { BackendDeps } from "../deps.ts";
import {
  CAPTURES_PAGE,
  CARD_RULES,
  type CardPayment,
  captureOf,
  losesAnswer,
  outcomeOf,
  reportOf,
  SANDBOX_SELLER,
  unconfirmedColumns,
} from "./cards.ts";
import {
  CHARGEABLE_STATUSES,
  GatewayUnavailable,
  type PaidKind,
  type Payment,
  type PaymentAttempt,
  type PaymentGateway,
} from "./gateway.ts";

/** The provider's own tables, which the backend's code never reads. */
type Tables = {
  sandbox_payments: Omit<CardPayment, "confirm_key"> & {
    create_key: string;
    confirm_key: Generated<CardPayment["confirm_key"]>;
    settles_at: Generated<number | null>;
    kind: PaidKind | null;
    captured_at: Generated<number | null>;
    refunded_at: Generated<number | null>;
    refunded: Generated<number>;
    refund_key: Generated<string | null>;
    created_at: number;
  };
  sandbox_attempts: { key: string; payment_id: string };
};

type PaymentRecord = Selectable<Tables["sandbox_payments"]>;

const MODE = "test";

type TestGatewayDeps = Pick<BackendDeps, "database" | "clock" | "now" | "random">;

/**
 * The payment provider of a service in test mode: the sandbox's cards, with a record on PostgreSQL that any number of
 * instances share. It answers as `sandboxGateway` does.
 *
 * @param deps payments settle by the billing clock and are created by the machine's
 */
export function testGateway(deps: TestGatewayDeps): PaymentGateway {
  const record = deps.database.withTables<Tables>();

  const load = async (column: "id" | "create_key", value: string): Promise<Payment> => {
    const found = await record.selectFrom("sandbox_payments").selectAll().where(column, "=", value).executeTakeFirst();
    if (!found) throw new GatewayUnavailable(`The provider has no payment ${value}`);
    return settled(found);
  };

  const settled = async (found: PaymentRecord): Promise<Payment> => {
    const hasSettled = found.status === "processing" && (found.settles_at ?? 0) <= deps.clock.now();
    if (hasSettled) await settleDue(found.id);
    return reportOf(hasSettled ? { ...found, status: "succeeded" } : found, MODE);
  };

  const settleDue = async (id?: string) => {
    const due = record
      .updateTable("sandbox_payments")
      .set((expression) => ({ status: "succeeded", captured_at: expression.ref("settles_at") }))
      .where("status", "=", "processing")
      .where("settles_at", "<=", deps.clock.now());
    await (id === undefined ? due : due.where("id", "=", id)).execute();
  };

  const captured = () => record.selectFrom("sandbox_payments").selectAll().where("status", "=", "succeeded");

  const changeStatus = async (id: string, status: Payment["status"], from: readonly Payment["status"][]) => {
    await record
      .updateTable("sandbox_payments")
      .set({ status })
      .where("id", "=", id)
      .where("status", "in", from)
      .execute();
  };

  return {
    ...CARD_RULES,
    account: { mode: MODE, seller: SANDBOX_SELLER.name },

    async create(request) {
      const payment = {
        id: `pay_${deps.random(12).toString("hex")}`,
        purchase_id: request.purchaseId,
        kind: request.kind,
        create_key: request.idempotencyKey,
        amount: request.amount.amount,
        currency: request.amount.currency,
        ...unconfirmedColumns(request.paymentMethod),
        created_at: deps.now(),
      };
      const created = await record
        .insertInto("sandbox_payments")
        .values(payment)
        .onConflict((conflict) => conflict.column("create_key").doNothing())
        .returningAll()
        .executeTakeFirst();
      return created ? settled(created) : load("create_key", request.idempotencyKey);
    },

    async confirm(paymentId, attempt) {
      const charged = await charge(record, paymentId, attempt, deps.clock.now());
      if (charged && losesAnswer(attempt)) throw new GatewayUnavailable("The provider's answer was lost");
      return charged ? settled(charged) : load("id", paymentId);
    },

    read: (paymentId) => load("id", paymentId),

    async cancel(paymentId) {
      await changeStatus(paymentId, "canceled", CHARGEABLE_STATUSES);
      return load("id", paymentId);
    },

    async refund(paymentId, idempotencyKey) {
      await record
        .updateTable("sandbox_payments")
        .set((expression) => ({
          refunded: expression.ref("amount"),
          refund_key: idempotencyKey,
          refunded_at: deps.clock.now(),
        }))
        .where("id", "=", paymentId)
        .where("status", "=", "succeeded")
        .where("refund_key", "is", null)
        .execute();
      return "succeeded";
    },

    async unconfirmed(createdBefore) {
      const found = await record
        .selectFrom("sandbox_payments")
        .selectAll()
        .where("status", "in", CHARGEABLE_STATUSES)
        .where("created_at", "<", createdBefore)
        .where("confirm_key", "is", null)
        .execute();
      return found.map((payment) => reportOf(payment, MODE));
    },

    async listCaptures(from, after) {
      await settleDue();
      const found = await captured()
        .where("id", ">", after ?? "")
        .where(({ eb, or, fn }) =>
          or([eb(fn.coalesce("captured_at", "created_at"), ">=", from), eb("refunded_at", ">=", from)]),
        )
        .orderBy("id")
        .limit(CAPTURES_PAGE)
        .execute();
      const next = found.length === CAPTURES_PAGE ? (found.at(-1)?.id ?? null) : null;
      return { captures: found.map(captureOf), next };
    },

    async findCapture(paymentId) {
      await settleDue();
      const found = await captured().where("id", "=", paymentId).executeTakeFirst();
      return found ? captureOf(found) : null;
    },
  };
}

/**
 * Makes an attempt unless its key was used before; of two at once the second waits for the first.
 *
 * @returns the payment, or nothing if the attempt was not made
 */
async function charge(
  record: Kysely<Tables>,
  paymentId: string,
  attempt: PaymentAttempt,
  now: number,
): Promise<PaymentRecord | undefined> {
  const { idempotencyKey, paymentMethod } = attempt;
  const { status, settlesAt } = outcomeOf(attempt, now);
  return record
    .with("taken", (query) =>
      query
        .insertInto("sandbox_attempts")
        .values({ key: idempotencyKey, payment_id: paymentId })
        .onConflict((conflict) => conflict.column("key").doNothing())
        .returning("key"),
    )
    .updateTable("sandbox_payments")
    .set({
      status,
      method: paymentMethod,
      confirm_key: idempotencyKey,
      settles_at: settlesAt,
      captured_at: status === "succeeded" ? now : null,
    })
    .where("id", "=", paymentId)
    .where("status", "in", CHARGEABLE_STATUSES)
    .where("confirm_key", "is distinct from", idempotencyKey)
    .where(({ exists, selectFrom }) => exists(selectFrom("taken").select("key")))
    .returningAll()
    .executeTakeFirst();
}
