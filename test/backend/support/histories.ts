import fc from "fast-check";
import { UNCHARGED } from "../../../src/backend/purchases/accept.ts";
import { startOfDateInZone } from "../../../src/billing/calendar.ts";
import { organization, type TestBackend } from "./backend.ts";

/** With daylight saving on both hemispheres, at UTC+13 and UTC−11, with half hours, and where midnight is skipped. */
const ZONES = [
  "Europe/London",
  "America/New_York",
  "Pacific/Tongatapu",
  "Pacific/Pago_Pago",
  "Australia/Lord_Howe",
  "Asia/Beirut",
  "Asia/Kathmandu",
] as const;

/** What happened at an instant of the billing clock. */
export type HistoryEvent = { readonly at: number } & (
  | {
      readonly kind: "purchase" | "renewal";
      readonly total: number;
      readonly tax: number;
      readonly licenses: number;
      readonly buyer: string | null;
      readonly token: string | null;
      readonly purchaseOrder: string | null;
      /** When it was refunded, instead of giving licenses. */
      readonly refundedAt: number | null;
    }
  | { readonly kind: "reduction"; readonly by: number }
  | {
      readonly kind: "user.added" | "user.removed";
      readonly count: number;
      readonly role: number;
      readonly adminNoTraining: boolean;
    }
);

/** The history of an organization, and the months to report on. */
export interface History {
  readonly timeZone: string;
  /** When the organization was created, and the counts that it began with. */
  readonly createdAt: number;
  readonly licenses: number;
  readonly used: number;
  readonly events: readonly HistoryEvent[];
  readonly now: number;
}

/** An instant, often the first or the last one of a month. */
function anyInstant(timeZone: string, min: number, max: number): fc.Arbitrary<number> {
  const edge = fc
    .tuple(fc.integer({ min, max }), fc.constantFrom(-1, 0, 1))
    .map(([instant, more]) => startOfDateInZone(`${new Date(instant).toISOString().slice(0, 7)}-01`, timeZone) + more)
    .map((instant) => Math.min(max, Math.max(min, instant)));
  return fc.oneof(fc.integer({ min, max }), edge);
}

const YEAR_MS = 365 * 86_400_000;

/** Any history, of a month to four years. */
export const anyHistory: fc.Arbitrary<History> = fc
  .record({
    timeZone: fc.constantFrom(...ZONES),
    createdAt: fc.integer({ min: Date.parse("2019-01-01T00:00:00Z"), max: Date.parse("2031-01-01T00:00:00Z") }),
    lasts: fc.integer({ min: 86_400_000, max: 4 * YEAR_MS }),
  })
  .chain(({ timeZone, createdAt, lasts }) => {
    const now = createdAt + lasts;
    const at = anyInstant(timeZone, createdAt, now);
    const amount = fc.oneof(fc.nat(100_000), fc.constantFrom(0, 1), fc.nat(90_000_000_000_000));
    const payment = fc
      .record({
        at,
        kind: fc.constantFrom("purchase" as const, "purchase" as const, "renewal" as const),
        tax: fc.nat(10_000),
        net: amount,
        licenses: fc.integer({ min: 1, max: 500 }),
        buyer: fc.constantFrom("ada@example.test", "grace@example.test"),
        token: fc.constantFrom(null, "ci", "deploy"),
        purchaseOrder: fc.constantFrom(null, "PO-7", "=PO"),
        refund: fc.option(at, { freq: 4 }),
      })
      .map(({ net, refund, ...made }) => ({
        ...made,
        total: net + made.tax,
        ...(made.kind === "renewal" && { buyer: null, token: null, purchaseOrder: null }),
        // A renewal is owed, and never refunded.
        refundedAt: refund === null || made.kind === "renewal" ? null : Math.max(refund, made.at),
      }));
    const reduction = fc.record({ at, kind: fc.constant("reduction" as const), by: fc.integer({ min: 1, max: 20 }) });
    const users = fc.record({
      at,
      kind: fc.constantFrom("user.added" as const, "user.removed" as const),
      count: fc.integer({ min: 1, max: 3 }),
      role: fc.constantFrom(0, 3, 7),
      adminNoTraining: fc.boolean(),
    });
    return fc.record({
      timeZone: fc.constant(timeZone),
      createdAt: fc.constant(createdAt),
      // Enough that no history takes more away than there are.
      licenses: fc.integer({ min: 500, max: 1_000 }),
      used: fc.integer({ min: 100, max: 200 }),
      events: fc
        .array(fc.oneof(payment, payment, reduction, users), { maxLength: 25 })
        .map((events) => events.toSorted((one, other) => one.at - other.at)),
      now: fc.constant(now),
    });
  });

/** Stores a history as the backend would have, in rows. Returns the organization's ID. */
export async function storeHistory(backend: TestBackend, history: History): Promise<number> {
  const { database } = backend.deps;
  const { timeZone, createdAt, licenses, used, events, now } = history;
  backend.clocks.billing = createdAt;
  const made = organization({ timeZone, subscription: { anchorDate: "2018-01-01", licenses } });
  await backend.addOrganization(made);
  backend.clocks.billing = now;
  const { id } = made;
  const counts = { licenses, used };
  const receipts = [];
  const creditNotes = [];
  const purchases = [];
  const log = [];
  for (const event of events) {
    if (event.kind === "reduction") {
      const data = { from: counts.licenses, asked: 0, to: counts.licenses - event.by };
      counts.licenses -= event.by;
      log.push({ at: event.at, type: "reduction.applied", data });
    } else if ("role" in event) {
      const { at, kind: type, count, role, adminNoTraining } = event;
      const takes = role === 7 || !adminNoTraining;
      counts.used += takes ? (type === "user.added" ? count : -count) : 0;
      for (let user = 0; user < count; user += 1) log.push({ at, type, data: { idUser: 1, role, adminNoTraining } });
    } else {
      const isFulfilled = event.refundedAt === null;
      if (isFulfilled && event.kind === "purchase") counts.licenses += event.licenses;
      const purchase = purchaseRow(id, purchases.length + 1, event, timeZone);
      purchases.push(purchase);
      const { id: purchase_id } = purchase;
      const issued = { organization_id: id, purchase_id };
      receipts.push({
        ...issued,
        number: receipts.length + 1,
        issued_at: event.at,
        licenses_after: counts.licenses,
      });
      if (event.refundedAt !== null)
        creditNotes.push({ ...issued, number: creditNotes.length + 1, issued_at: event.refundedAt });
      log.push({ at: event.at, type: "purchase.succeeded", data: { licensesAfter: counts.licenses } });
    }
  }
  const rows = log.map(({ data, ...entry }, index) => ({
    ...entry,
    organization_id: id,
    number: index + 1,
    actor: "backend",
    purchase_id: null,
    data_json: JSON.stringify(data),
  }));
  if (purchases.length > 0) await database.insertInto("purchases").values(purchases).execute();
  if (receipts.length > 0) await database.insertInto("receipts").values(receipts).execute();
  if (creditNotes.length > 0) await database.insertInto("credit_notes").values(creditNotes).execute();
  if (rows.length > 0) await database.insertInto("events").values(rows).execute();
  await database.updateTable("subscriptions").set(counts).where("organization_id", "=", id).execute();
  return id;
}

type Payment = Extract<HistoryEvent, { total: number }>;

function purchaseRow(organizationId: number, sequence: number, payment: Payment, timeZone: string) {
  const { kind, licenses, total, tax, buyer, token, purchaseOrder, at, refundedAt } = payment;
  return {
    ...UNCHARGED,
    organization_id: organizationId,
    id: `pur_${organizationId}_${String(sequence).padStart(24, "0")}`,
    sequence,
    kind,
    state: refundedAt === null ? ("fulfilled" as const) : ("refunded" as const),
    epoch: 1,
    lease_until: 0,
    quote_id: null,
    idempotency_key: null,
    licenses,
    total,
    currency: "GBP",
    price_json: JSON.stringify({ tax: { amount: tax, currency: "GBP" } }),
    time_zone: timeZone,
    purchase_order: purchaseOrder,
    note: null,
    buyer_email: buyer,
    buyer_token_id: token,
    buyer_token_name: token,
    payment_method: "card_ok",
    accepted_at: at,
    spent_at: at,
    completed_at: at,
    next_check_at: null,
    renewal_term: kind === "renewal" ? sequence : null,
  };
}
