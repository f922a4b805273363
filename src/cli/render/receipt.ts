import { formatMoney } from "../../billing/money.ts";
import type { Receipt } from "../../contract/billing.ts";
import { clean } from "./clean.ts";
import { fields } from "./table.ts";
import type { View } from "./view.ts";
import { countChange, instant, paymentMethod } from "./words.ts";

/** A receipt for people. */
export function renderReceipt(receipt: Receipt, view: View): string {
  const { organization, term, purchasedBy } = receipt;
  const isPurchase = receipt.kind === "purchase";
  const buyer =
    purchasedBy && (purchasedBy.token ? `${purchasedBy.email}, token ${purchasedBy.token}` : purchasedBy.email);
  return fields(
    [
      ["Receipt", view.style.bold(clean(receipt.receiptNumber))],
      ["Issued", instant(receipt.issuedAt)],
      ["Purchase", clean(receipt.purchaseId)],
      [isPurchase ? "Bought on" : "Renewed on", `${receipt.purchaseDate} in the billing time zone`],
      ["Organization", `${clean(organization.name)} (${organization.id})`],
      ["Plan", clean(receipt.plan)],
      [
        "Licenses",
        isPurchase ? countChange(receipt.licensesAfter, receipt.licenses) : `renewal of ${receipt.licenses}`,
      ],
      ["Price", `${formatMoney(receipt.unitPrice)} per license`],
      ["Term", `${term.start} to ${term.renewalDate}, ${term.daysRemaining} of ${term.days} days`],
      ["Due", formatMoney(receipt.dueNow)],
      [`Tax ${clean(receipt.taxRate)} %`, formatMoney(receipt.tax)],
      ["Total", view.style.bold(formatMoney(receipt.total))],
      ["Paid with", paymentMethod(receipt.paymentMethod)],
      ["PO number", receipt.purchaseOrder && clean(receipt.purchaseOrder)],
      ["Note", receipt.note && clean(receipt.note)],
      ["By", buyer && clean(buyer)],
    ],
    view,
  );
}
