import type { Receipt } from "../../contract/billing.ts";
import { clean } from "./clean.ts";
import { moneyText } from "./money.ts";
import { fields } from "./table.ts";
import type { View } from "./view.ts";
import { countChange, instant, licenses, paymentMethod } from "./words.ts";

/** A receipt for people. Amounts are the receipt's own. */
export function renderReceipt(receipt: Receipt, view: View): string {
  const { organization, term, dueNow, unitPrice, taxRate, purchasedBy, refund } = receipt;
  const token = purchasedBy?.token;
  return fields(
    [
      ["Receipt", view.style.bold(clean(receipt.receiptNumber))],
      ["Issued", instant(receipt.issuedAt)],
      ["Organization", `${clean(organization.name)} (${organization.id})`],
      ["Administrator", purchasedBy && clean(token ? `${purchasedBy.email}, token ${token}` : purchasedBy.email)],
      ["Purchase", clean(receipt.purchaseId)],
      [receipt.kind === "purchase" ? "Bought on" : "Renewed on", `${receipt.purchaseDate} in the billing time zone`],
      ["Plan", clean(receipt.plan)],
      ["Licenses", licensesOf(receipt)],
      ["Term", `${term.start} to ${term.renewalDate}, ${term.daysRemaining} of ${term.days} days`],
      [
        "Subtotal",
        `${licenses(receipt.licenses)} × ${moneyText(unitPrice)} × ${term.daysRemaining} / ${term.days} days = ${moneyText(dueNow)}`,
      ],
      ["Tax", `${clean(taxRate)} % of ${moneyText(dueNow)} = ${moneyText(receipt.tax)}`],
      ["Total", view.style.bold(moneyText(receipt.total))],
      ["Paid with", paymentMethod(receipt.paymentMethod)],
      [
        "Refunded",
        refund
          ? `${moneyText(refund.amount)} on ${instant(refund.refundedAt)}, credit note ${clean(refund.creditNoteNumber)}`
          : null,
      ],
      ["PO number", receipt.purchaseOrder && clean(receipt.purchaseOrder)],
      ["Note", receipt.note && clean(receipt.note)],
    ],
    view,
  );
}

/** A payment may have arrived for licenses that could not be given any more. */
function licensesOf({ status, kind, licenses: bought, licensesAfter }: Receipt): string {
  if (status !== undefined && status !== "succeeded") return `${licensesAfter}, none was added`;
  return kind === "purchase" ? countChange(licensesAfter, bought) : `renewal of ${bought}`;
}
