import { type CalendarDate, dateInZone } from "../../billing/calendar.ts";
import { formatMoney, money } from "../../billing/money.ts";
import type { CreditNote, Receipt } from "../../contract/billing.ts";
import type { BillingDetails, Seller } from "../../contract/billingDetails.ts";
import { modeOf } from "../../contract/mode.ts";
import { countryName } from "../../contract/vat.ts";
import {
  bannerOf,
  buyerText,
  countOf,
  type Field,
  ISO_DATES,
  LABELS,
  licensesOf,
  present,
  termText,
} from "./content.ts";

/** A receipt or a credit note. */
export type BillingDocument = Receipt | CreditNote;

/** A table whose first column has text with details below it; the others are amounts. */
export interface DocumentTable {
  readonly heads: readonly string[];
  readonly rows: readonly { readonly cells: readonly string[]; readonly details: readonly string[] }[];
}

/** The text of a document for a printed page, in reading order. It never changes after the document was issued. */
export interface DocumentContent {
  readonly title: string;
  /** What stands above everything else; `null` on a live document. */
  readonly banner: string | null;
  readonly stamp: string;
  /** Who sells and who buys: a label and lines. */
  readonly parties: readonly { readonly label: string; readonly lines: readonly string[] }[];
  readonly fields: readonly Field[];
  readonly charges: DocumentTable;
  readonly taxes: DocumentTable;
  readonly sums: readonly Field[];
  /** The last of the sums, which stands out. */
  readonly total: Field;
  readonly remarks: readonly Field[];
  /** The parties and the product: these must be readable, unlike what the buyer wrote. */
  readonly names: readonly string[];
}

/**
 * Puts a receipt or a credit note into words. Amounts are its own: nothing is calculated here.
 *
 * @param timeZone the billing time zone of the purchase, whose dates the document has
 */
export function documentContent(document: BillingDocument, timeZone: string): DocumentContent {
  const dateOf = (instant: string) => dateInZone(Date.parse(instant), timeZone);
  const { plan, purchasedBy, paymentMethod, organization, note } = document;
  const parties = partiesOf(document);
  return {
    ...(isCreditNote(document) ? creditNoteWords(document, dateOf) : receiptWords(document, dateOf)),
    banner: bannerOf(modeOf(document)),
    parties,
    charges: chargesOf(document),
    taxes: taxesOf(document),
    remarks: present([[LABELS.note, note]]),
    names: [
      ...parties.flatMap(({ lines }) => lines),
      ...[organization.name, plan, purchasedBy?.email, purchasedBy?.token, paymentMethod?.label].filter(
        (name) => typeof name === "string",
      ),
    ],
  };
}

/** Returns the date of an instant, in the time zone of the document. */
type DateOf = (instant: string) => CalendarDate;

function isCreditNote(document: BillingDocument): document is CreditNote {
  return "creditNoteNumber" in document;
}

function receiptWords(receipt: Receipt, dateOf: DateOf) {
  const { receiptNumber, issuedAt, total } = receipt;
  const paidAt = dateOf(issuedAt);
  return {
    title: `Receipt ${receiptNumber}`,
    stamp: "PAID",
    fields: present([
      ["Date of issue", paidAt],
      ["Date of payment (tax point)", paidAt],
      ["Paid with", receipt.paymentMethod?.label ?? null],
      ...orderFields(receipt),
      [LABELS.licenses, licensesOf(receipt)],
    ]),
    sums: [
      ...sumsOf(receipt),
      [LABELS.total, formatMoney(total)] as const,
      [`Paid ${paidAt}`, formatMoney(total)] as const,
    ],
    total: ["Amount due", formatMoney(money(0, total.currency))] as const,
  };
}

function creditNoteWords(note: CreditNote, dateOf: DateOf) {
  const { creditNoteNumber, receiptNumber, receiptIssuedAt, issuedAt, total } = note;
  return {
    title: `Credit note ${creditNoteNumber}`,
    stamp: "REFUNDED",
    fields: present([
      ["Date of issue", dateOf(issuedAt)],
      ["Refund of receipt", `${receiptNumber} of ${dateOf(receiptIssuedAt)}`],
      ["Refunded to", note.paymentMethod?.label ?? null],
      ...orderFields(note),
      ["Reason", "Paid too late: no license was added"],
    ]),
    sums: sumsOf(note),
    total: ["Total refunded", formatMoney(total)] as const,
  };
}

function orderFields({ purchaseOrder, purchaseId, purchasedBy, organization, kind, term }: BillingDocument) {
  return [
    [LABELS.purchaseOrder, purchaseOrder],
    [kind === "purchase" ? "Purchase" : "Renewal", purchaseId],
    [LABELS.buyer, purchasedBy && buyerText(purchasedBy)],
    [LABELS.organization, `${organization.name} (${organization.id})`],
    [LABELS.term, termText(term, ISO_DATES)],
  ] as const;
}

function sumsOf({ dueNow, tax, taxRate, ...document }: BillingDocument): Field[] {
  return [
    [LABELS.subtotal, formatMoney(dueNow)],
    [`${taxWord(document)} (${taxRate}%)`, formatMoney(tax)],
  ];
}

/** Shows how the net amount came about (src/billing/README.md, Proration). */
function chargesOf({ plan, licenses, unitPrice, term, purchaseDate, dueNow }: BillingDocument): DocumentTable {
  const { days, daysRemaining, renewalDate } = term;
  return {
    heads: ["Description", "Quantity", "Unit price", `Net (${dueNow.currency})`],
    rows: [
      {
        cells: [`${plan} licenses`, String(licenses), formatMoney(unitPrice), formatMoney(dueNow)],
        details: [
          `${purchaseDate} to ${renewalDate}, end\u00a0date\u00a0excluded`,
          `${countOf(licenses)} × ${formatMoney(unitPrice)} × ${daysRemaining} / ${days} days`,
        ],
      },
    ],
  };
}

function taxesOf({ dueNow, tax, taxRate, total, ...document }: BillingDocument): DocumentTable {
  const word = taxWord(document);
  return {
    heads: [`${word} rate`, "Net", word, LABELS.total],
    rows: [{ cells: [`${taxRate}%`, formatMoney(dueNow), formatMoney(tax), formatMoney(total)], details: [] }],
  };
}

function taxWord({ seller }: Pick<BillingDocument, "seller">): string {
  return seller?.vatNumber ? "VAT" : "Tax";
}

function partiesOf({ seller, buyer, organization }: BillingDocument): DocumentContent["parties"] {
  return [
    { label: "Seller", lines: seller ? linesOf(seller) : ["SecureFlag licenses"] },
    { label: "Buyer", lines: buyer ? linesOf(buyer) : [organization.name] },
  ];
}

function linesOf({ name, address, country, vatNumber, ...more }: Seller | BillingDetails): string[] {
  const email = "email" in more ? more.email : null;
  return [name, ...address, country && countryName(country), vatNumber && `VAT number ${vatNumber}`, email].filter(
    (line) => typeof line === "string" && line !== "",
  ) as string[];
}
