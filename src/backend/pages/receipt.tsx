import type { Receipt } from "../../contract/billing.ts";
import type { PaymentAccount } from "../payments/gateway.ts";
import { receiptContent } from "../receipts/content.ts";
import { Facts, type Page } from "./page.tsx";
import { bannerOf } from "./payment.tsx";

/**
 * A receipt for who has the address of its purchase's page. It needs no font of its own, unlike the PDF.
 *
 * @param address of the page that it belongs to, a path
 */
export function receiptPage(receipt: Receipt, account: PaymentAccount, address: string): Page {
  const { title, fields, charges, total, remarks } = receiptContent(receipt);
  return {
    status: 200,
    title,
    banner: bannerOf(account),
    body: (
      <>
        <Facts
          rows={[
            ["Seller", account.seller],
            ...fields,
            ...charges.map(({ text, amount }) => [text, amount] as const),
            ["Total", <strong key="total">{total}</strong>],
          ]}
        />
        {remarks.map((remark) => (
          <p key={remark}>{remark}</p>
        ))}
        <p class="quiet">
          <a href={address}>Back to the payment</a>
        </p>
      </>
    ),
  };
}
