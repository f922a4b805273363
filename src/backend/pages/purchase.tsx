import type { ComponentChildren, VNode } from "preact";
import { formatMoney, money } from "../../billing/money.ts";
import { recurringCharge } from "../../billing/proration.ts";
import { PENDING_STATES } from "../../billing/purchase.ts";
import { licensesAtRenewal } from "../../billing/quote.ts";
import type { Receipt } from "../../contract/billing.ts";
import type { OrganizationSubscription } from "../database/schema.ts";
import { chargeStepOf, type PaymentChoice, type PaymentGateway } from "../payments/gateway.ts";
import { deadlineOf, payUntil, priceOf } from "../purchases/schedule.ts";
import type { PurchaseRecord } from "../purchases/store.ts";
import { countOf, creditNoteNumber, LABELS, receiptContent, receiptNumber } from "../receipts/content.ts";
import { missedRenewals, snapshotAt } from "../subscriptions/view.ts";
import { readerDates } from "./dates.ts";
import { Facts, Hidden, type Page, Problem } from "./page.tsx";
import { noticePage, type Order, type PaymentProblem, Refresh } from "./payment.tsx";

/** A visit to a payment page. */
export interface Visit {
  readonly gateway: Pick<PaymentGateway, "account" | "limits" | "describe">;
  /** The billing clock, milliseconds. */
  readonly now: number;
  /** The path of the page. */
  readonly address: string;
  /** The reader's kind of English, a BCP 47 tag (see `readerLocale`). */
  readonly locale: string;
}

/** Describes a purchase for its payment page. */
export function orderOf(row: PurchaseRecord, subscription: OrganizationSubscription, visit: Visit): Order {
  const { email, token } = { email: row.buyer_email, token: row.buyer_token_name };
  const deadline = payUntil(row);
  return {
    kind: row.kind,
    seller: visit.gateway.account.seller,
    organization: { id: row.organization_id, name: subscription.name },
    buyer: email === null ? null : { email, token },
    licenses: row.licenses,
    licensesBefore: licensesBefore(row, subscription),
    price: priceOf(row),
    total: money(row.total, row.currency),
    renewsAt: renewsAt(row, subscription, visit),
    missed: missedAfter(row, subscription, visit),
    purchaseOrder: row.purchase_order,
    note: row.note,
    deadline,
    isSuspended: row.kind === "renewal" && visit.now >= deadline,
    dates: readerDates(visit.locale, row.time_zone),
  };
}

/** Prices the next renewal with the licenses of now, which may have changed since the quote, and those of the purchase. */
function renewsAt(row: PurchaseRecord, subscription: OrganizationSubscription, { gateway, now }: Visit) {
  const { unitPrice, priced } = snapshotAt(subscription, now);
  if (!priced.autoRenew) return null;
  const licenses = licensesAtRenewal(priced, row.kind === "renewal" ? 0 : row.licenses);
  return recurringCharge({
    unitPrice,
    licenses,
    taxRate: priced.taxRate,
    chargeStep: chargeStepOf(gateway, row.currency),
  });
}

/** The renewals that follow an unpaid one at once. */
function missedAfter(row: PurchaseRecord, subscription: OrganizationSubscription, { gateway, now }: Visit) {
  if (subscription.unpaid_renewal !== row.id) return null;
  return missedRenewals(snapshotAt(subscription, now), chargeStepOf(gateway, row.currency));
}

function licensesBefore(row: PurchaseRecord, subscription: OrganizationSubscription): number | null {
  if (row.kind === "renewal") return null;
  if (row.state === "fulfilled") return (row.licenses_after ?? 0) - row.licenses;
  const isOpen = PENDING_STATES.includes(row.state) || row.state === "declined";
  return isOpen ? subscription.licenses : null;
}

/**
 * Returns the page of a purchase that needs no payment: its outcome, and what to do next. Once the time to pay is over, it
 * shows nothing else.
 */
export function noticeOf(
  row: PurchaseRecord,
  subscription: OrganizationSubscription,
  visit: Visit,
  { keeping, problem }: { keeping: Keeping | null; problem?: PaymentProblem | undefined },
): Page {
  const { address } = visit;
  const order = isShown(row, visit.now) ? orderOf(row, subscription, visit) : null;
  const notice = notices(row, subscription);
  const more = notice.isOpen ? (
    <Refresh address={address} />
  ) : order !== null && row.receipt_number !== null ? (
    <p>
      <a href={`${address}${RECEIPT_PATH}`}>Show the receipt</a>
    </p>
  ) : undefined;
  const page = noticePage(notice, order, more);
  if (keeping === null) return page;
  const { payment_method: stored, payment_method_label: label } = subscription;
  return {
    ...page,
    status: problem?.status ?? page.status,
    body: (
      <>
        {problem && <Problem>{problem.sentence}</Problem>}
        <KeepCard {...keeping} address={address} stored={visit.gateway.describe(stored ?? "", label).label} />
        {page.body}
      </>
    ),
  };
}

/** The card that a person may store, and the token of the form. */
interface Keeping {
  readonly card: PaymentChoice;
  readonly token: string;
}

/** Asks whether to charge renewals to the card that one was paid with. The stored one stays by default. */
function KeepCard({ card, token, address, stored }: Keeping & { address: string; stored: string }): VNode {
  return (
    <form method="post" action={address}>
      <Hidden fields={{ form: token }} />
      <p>
        This was paid with {card.label}. The stored payment method is still {stored}: later renewals are charged to it,
        unless you store the new card.
      </p>
      <div class="actions">
        <button class="second" type="submit" name="action" value="keep_card">
          Charge renewals to {card.label}
        </button>
      </div>
    </form>
  );
}

/** The path of a receipt, relative to the purchase's page. */
export const RECEIPT_PATH = "/receipt";

/**
 * Reports whether the pages of a purchase still show its content: later, their address may be in a log.
 *
 * @param now the billing clock, milliseconds
 */
export function isShown(row: PurchaseRecord, now: number): boolean {
  return now < deadlineOf(row);
}

interface Notice {
  readonly status: number;
  readonly title: string;
  readonly sentences: readonly ComponentChildren[];
  /** Whether the purchase is still being processed, so that refreshing helps. */
  readonly isOpen?: boolean;
}

const RENEWAL_UNPAID = "The renewal is unpaid. Ask the operator of the backend to have it charged again.";

const BUY_AGAIN = "No license was added. To buy, make a new purchase in your terminal.";

function notices(row: PurchaseRecord, subscription: OrganizationSubscription): Notice {
  const total = formatMoney(money(row.total, row.currency));
  const why = row.failure_message ?? "The payment failed.";
  const isRenewal = row.kind === "renewal";
  switch (row.state) {
    case "fulfilled":
      return paid(row, subscription, total);
    case "canceled":
      return { status: 200, title: "The purchase was canceled", sentences: ["Nothing was charged.", BUY_AGAIN] };
    case "expired":
      return { status: 410, title: "The time to pay is over", sentences: ["Nothing was charged.", BUY_AGAIN] };
    case "declined":
      return {
        status: 200,
        title: "The payment failed",
        sentences: [`${why} Nothing was charged.`, isRenewal ? RENEWAL_UNPAID : BUY_AGAIN],
      };
    case "refund_due":
      return { status: 200, title: "The payment is being refunded", sentences: [why, BUY_AGAIN], isOpen: true };
    case "refunded":
      return { status: 200, title: "The payment was refunded", sentences: [refundSentence(row, total), BUY_AGAIN] };
    case "awaiting_approval":
      return {
        status: 200,
        title: "Waiting for an administrator",
        sentences: [
          "Another administrator of the organization has to approve this purchase in their terminal. Nothing was charged.",
        ],
        isOpen: true,
      };
    case "requires_approval":
      // It expires once the provider has canceled the payment: only then is it certain that nothing was charged.
      return { status: 410, title: "The time to pay is over", sentences: [BUY_AGAIN] };
    default:
      return {
        status: 200,
        title: "The payment is being processed",
        sentences: [
          isRenewal
            ? `${total} is being charged. You are never charged twice.`
            : `${total} is being charged. The licenses are added once the payment is received. You are never charged twice.`,
        ],
        isOpen: true,
      };
  }
}

function paid(row: PurchaseRecord, { name, licenses }: OrganizationSubscription, total: string): Notice {
  const receipt = receiptNumber(row.organization_id, row.receipt_number ?? 0);
  return {
    status: 200,
    title: "Payment received",
    sentences: [
      <>
        {total} was paid. Receipt: <span class="whole">{receipt}</span>
      </>,
      `${name} now has ${countOf(licenses)}. You can close this page and return to your terminal.`,
    ],
  };
}

function refundSentence(row: PurchaseRecord, total: string): VNode {
  return (
    <>
      The payment was received too late, so {total} was refunded. Credit note:{" "}
      <span class="whole">{creditNoteNumber(row.organization_id, row.credit_note_number ?? 0)}</span>
    </>
  );
}

/**
 * The receipt of a purchase, for anyone who has the address of its payment page. Unlike the PDF it needs no fonts.
 *
 * @param timeZone the billing time zone
 */
export function receiptPage(receipt: Receipt, timeZone: string, { gateway, address, locale }: Visit): Page {
  const { title, fields, charges, total, remarks } = receiptContent(receipt, readerDates(locale, timeZone));
  return {
    status: 200,
    title,
    body: (
      <>
        <Facts
          rows={[
            ...[["Seller", gateway.account.seller] as const, ...fields, ...remarks].map(([label, value]) => ({
              label,
              value,
            })),
            ...charges.map(({ text, details, amount }) => ({
              label: text,
              details,
              value: amount,
              kind: "amount" as const,
            })),
            { label: LABELS.total, value: total, kind: "total" },
          ]}
        />
        <p class="quiet">
          <a href={address}>Back to the payment</a>
        </p>
      </>
    ),
  };
}
