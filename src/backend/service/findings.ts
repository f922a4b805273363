import type { Kysely } from "kysely";
import type { Money } from "../../billing/money.ts";
import type { Database } from "../database/schema.ts";
import { inTransaction } from "../database/transaction.ts";
import type { Capture, PaidKind } from "../payments/gateway.ts";
import { readSetting, writeSetting } from "../seeding/store.ts";
import type { Booking } from "./bookings.ts";

/** How the provider's record of a payment and ours can differ (src/backend/service/README.md, Reconciliation). */
type FindingKind =
  | "unknownPurchase"
  | "notBooked"
  | "amountDiffers"
  | "notCaptured"
  | "refundNotBooked"
  | "refundNotMade";

/** A payment on which the provider's record and ours differ. */
export interface Finding {
  readonly finding: FindingKind;
  readonly purchaseId: string;
  /** `null` for an ID that names none. */
  readonly organizationId: number | null;
  readonly kind: PaidKind | null;
  readonly paymentId: string | null;
  /** What the provider took, without what it refunded; `null` if it took nothing. */
  readonly captured: Money | null;
  /** What is booked, without refunds; `null` if nothing is. */
  readonly booked: Money | null;
}

/** What both say about one payment; what a side does not know is `null`. */
export interface Compared {
  readonly capture: Capture | null;
  readonly booking: Booking | null;
}

/**
 * Compares both records of a payment. What was taken and wholly given back is no difference, if nothing is booked.
 *
 * @returns `null` if they agree
 */
export function compare({ capture, booking }: Compared): FindingKind | null {
  const isCaptured = capture !== null && capture.amount > capture.refunded;
  if (booking === null) return isCaptured ? "unknownPurchase" : null;
  if (booking.charged === null) return isCaptured ? "notBooked" : null;
  if (capture === null) return booking.charged > booking.refunded ? "notCaptured" : null;
  if (capture.amount !== booking.charged || capture.currency !== booking.currency) return "amountDiffers";
  if (capture.refunded === booking.refunded) return null;
  return capture.refunded > booking.refunded ? "refundNotBooked" : "refundNotMade";
}

/** Describes a difference. One of both is known. */
export function findingOf(finding: FindingKind, { capture, booking }: Compared): Finding {
  const purchaseId = booking?.id ?? capture?.purchaseId ?? "";
  return {
    finding,
    purchaseId,
    organizationId: booking?.organization_id ?? organizationOf(purchaseId),
    kind: booking?.kind ?? capture?.kind ?? null,
    paymentId: capture?.paymentId ?? booking?.payment_id ?? null,
    captured: capture && { amount: capture.amount - capture.refunded, currency: capture.currency },
    booked:
      booking === null || booking.charged === null
        ? null
        : { amount: booking.charged - booking.refunded, currency: booking.currency },
  };
}

/** The organization that an ID of a purchase names; `null` for an ID that is not ours. */
export function organizationOf(purchaseId: string): number | null {
  const [, organizationId] = /^pur_(\d{1,15})_/.exec(purchaseId) ?? [];
  return organizationId === undefined ? null : Number(organizationId);
}

/**
 * Adds up by how much the records differ, whatever the direction, so that opposite differences do not hide each other.
 *
 * @returns by currency, minor units
 */
export function differencesOf(findings: readonly Finding[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  const add = (currency: string, amount: number) => sums.set(currency, (sums.get(currency) ?? 0) + Math.abs(amount));
  for (const { captured, booked } of findings) {
    if (captured && booked && captured.currency === booked.currency) {
      add(captured.currency, captured.amount - booked.amount);
      continue;
    }
    for (const side of [captured, booked]) if (side) add(side.currency, side.amount);
  }
  return sums;
}

const PREFIX = "review:";

const nameOf = ({ purchaseId, paymentId }: Pick<Finding, "purchaseId" | "paymentId">) =>
  `${PREFIX}${purchaseId}:${paymentId ?? ""}`;

/** Lists the differences that no reconciliation has found settled since, by purchase. */
export async function openFindings(database: Kysely<Database>): Promise<Finding[]> {
  const rows = await database
    .selectFrom("settings")
    .select("value")
    .where("name", "like", `${PREFIX}%`)
    .orderBy("name")
    .execute();
  return rows.map(({ value }) => JSON.parse(value) as Finding);
}

/** Keeps a difference for an operator to review, until it is settled. */
export async function keepFinding(database: Kysely<Database>, finding: Finding): Promise<void> {
  await writeSetting(database, nameOf(finding), JSON.stringify(finding));
}

/** Drops a difference that is settled. */
export async function dropFinding(
  database: Kysely<Database>,
  finding: Pick<Finding, "purchaseId" | "paymentId">,
): Promise<void> {
  await database.deleteFrom("settings").where("name", "=", nameOf(finding)).execute();
}

const RECONCILED = "reconciled";

/**
 * The last reconciliation: until when it was complete (milliseconds), and the differences it left, by every currency that
 * was compared.
 */
export interface Reconciled {
  readonly until: number;
  readonly differences: Readonly<Record<string, number>>;
}

/** Reads what the last reconciliation found; `null` before the first. */
export async function readReconciled(database: Kysely<Database>): Promise<Reconciled | null> {
  const text = await readSetting(database, RECONCILED);
  return text === null ? null : (JSON.parse(text) as Reconciled);
}

/** Saves what a reconciliation found, unless a later one has been saved. */
export async function saveReconciled(database: Kysely<Database>, reconciled: Reconciled): Promise<void> {
  await inTransaction(database, async (tx) => {
    const last = await readReconciled(tx);
    if (last === null || last.until <= reconciled.until) {
      await writeSetting(tx, RECONCILED, JSON.stringify(reconciled));
    }
  });
}
