import type { ComponentChildren, VNode } from "preact";
import { formatMoney, type Money } from "../../billing/money.ts";
import type { Price } from "../../billing/quote.ts";
import type { PaymentChoice } from "../payments/gateway.ts";
import type { Approval } from "../purchases/approval.ts";
import { buyerText, countOf, type DateWords, LABELS, licensesText, termText } from "../receipts/content.ts";
import { type Fact, Facts, Hidden, type Page, Problem } from "./page.tsx";

/** A purchase, as its page shows it. */
export interface Order {
  readonly kind: "purchase" | "renewal";
  readonly seller: string;
  readonly organization: { readonly id: number; readonly name: string };
  /** `null` for a renewal. */
  readonly buyer: { readonly email: string; readonly token: string | null } | null;
  readonly licenses: number;
  /** The organization's licenses before the purchase; `null` when none were or will be added. */
  readonly licensesBefore: number | null;
  readonly price: Pick<Price, "term" | "dueNow" | "taxRate" | "tax">;
  readonly total: Money;
  /** What the subscription renews at once this is paid; `null` when it does not renew. */
  readonly renewsAt: (Pick<Price, "total" | "tax"> & { readonly subtotal: Money }) | null;
  /** The renewals that are charged once this one is paid; `null` without any. */
  readonly missed: { readonly renewals: number; readonly total: Money } | null;
  readonly purchaseOrder: string | null;
  readonly note: string | null;
  /** When the time to pay ends, milliseconds. */
  readonly deadline: number;
  /** Whether it is a renewal whose deadline has passed: it may still be paid. */
  readonly isSuspended: boolean;
  readonly dates: DateWords;
}

/** The form of the payment page. */
export interface PaymentForm {
  readonly token: string;
  /** The payment methods to choose from, the default first. */
  readonly choices: readonly PaymentChoice[];
  /** The organization's stored payment method, `null` if it has none. */
  readonly stored: string | null;
  readonly cancelable: boolean;
  /** The path of the page. */
  readonly address: string;
  /** Whether the provider asks for cards on a page of its own. */
  readonly asksCards: boolean;
  /** Where the person can continue the payment. */
  readonly approval: Pick<Approval, "bankUrl" | "cardUrl">;
}

/** Why the last attempt failed, and the status of the answer. */
export interface PaymentProblem {
  readonly status: number;
  readonly sentence: string;
}

/** Asks a person to pay or to cancel. */
export function askPage(order: Order, form: PaymentForm, problem?: PaymentProblem): Page {
  return {
    status: problem?.status ?? 200,
    title: `${order.kind === "renewal" ? "Pay the renewal of" : "Pay for"} ${countOf(order.licenses)}`,
    body: (
      <>
        {problem && <Problem>{problem.sentence}</Problem>}
        <Elsewhere approval={form.approval} />
        <OrderFacts order={order} isAsked />
        <form method="post" action={form.asksCards ? form.address : undefined}>
          <Hidden fields={{ form: form.token }} />
          {form.asksCards ? <CardButtons order={order} form={form} /> : <CardChoice order={order} form={form} />}
        </form>
        {form.cancelable && (
          <p class="quiet">
            <a href={`${form.address}?cancel`}>Cancel purchase</a>
          </p>
        )}
      </>
    ),
  };
}

/** Asks for confirmation before a purchase is canceled. */
export function cancelPage(order: Order, form: Pick<PaymentForm, "token" | "address">): Page {
  const { licenses, organization, total } = order;
  return {
    status: 200,
    title: "Cancel this purchase?",
    body: (
      <>
        <p>
          {countOf(licenses)} for {organization.name}, {formatMoney(total)}. Nothing is charged, and no license is
          added.
        </p>
        <form method="post" action={form.address}>
          <Hidden fields={{ form: form.token }} />
          <div class="actions">
            <button type="submit" name="action" value="cancel">
              Cancel purchase
            </button>
          </div>
        </form>
        <p class="quiet">
          <a href={form.address}>Back to the payment</a>
        </p>
      </>
    ),
  };
}

/** Shows a purchase that needs no action. `order` is `null` once its time to pay is over. */
export function noticePage(
  notice: { readonly status: number; readonly title: string; readonly sentences: readonly ComponentChildren[] },
  order: Order | null,
  more?: ComponentChildren,
): Page {
  return {
    status: notice.status,
    title: notice.title,
    body: (
      <>
        {notice.sentences.map((sentence, index) => (
          <p key={index}>{sentence}</p>
        ))}
        {more}
        {order && <OrderFacts order={order} />}
      </>
    ),
  };
}

/** A link that loads the page again, without submitting its form again. */
export function Refresh({ address }: { address: string }): VNode {
  return (
    <p>
      <a href={address}>Refresh</a>
    </p>
  );
}

/** Links to where the payment continues: `form-action 'self'` would block a form that leads there. */
function Elsewhere({ approval: { bankUrl, cardUrl } }: Pick<PaymentForm, "approval">): VNode {
  return (
    <>
      {bankUrl !== null && (
        <ElsewhereLink
          sentence="Your bank asks you to approve this payment. You return to this page afterwards."
          url={bankUrl}
          text="Approve at your bank"
        />
      )}
      {cardUrl !== null && (
        <ElsewhereLink
          sentence="Enter your card on our payment provider's page. It is then charged for this purchase."
          url={cardUrl}
          text="Enter the card"
        />
      )}
    </>
  );
}

/** Links to a page that is not ours, and names its host. */
export function ElsewhereLink({ sentence, url, text }: { sentence: string; url: string; text: string }): VNode {
  return (
    <>
      <p>{sentence}</p>
      <div class="actions">
        <a class="button" href={url}>
          {text}
        </a>
      </div>
      <p class="hint">Opens {new URL(url).host}</p>
    </>
  );
}

const STORES_CARD = "No payment method is stored yet. The card you pay with is stored for future payments.";

/** Pays with the stored card, or with one that the provider asks for. */
function CardButtons({ order, form }: { order: Order; form: PaymentForm }): VNode {
  const [stored] = form.choices;
  const total = formatMoney(order.total);
  return (
    <>
      <p class={stored ? undefined : "hint"}>{stored ? `Stored payment method: ${stored.label}` : STORES_CARD}</p>
      <div class="actions">
        {stored && (
          <button type="submit" name="action" value="pay">
            Pay {total}
          </button>
        )}
        <button class={stored && "second"} type="submit" name="action" value="enter_card">
          {stored ? "Pay with another card" : `Pay ${total} by card`}
        </button>
      </div>
    </>
  );
}

/** Pays with one of the provider's own choices. */
function CardChoice({ order, form }: { order: Order; form: PaymentForm }): VNode {
  const { stored, choices } = form;
  return (
    <>
      <CardField label="Pay with" stored={stored} choices={choices} hint={stored === null ? STORES_CARD : null} />
      <div class="actions">
        <button type="submit" name="action" value="pay">
          Pay {formatMoney(order.total)}
        </button>
      </div>
    </>
  );
}

/** What a choice among cards shows. */
interface CardFieldProps {
  readonly label: string;
  readonly choices: readonly PaymentChoice[];
  /** The one of them that is chosen first; `null` for none. */
  readonly stored: string | null;
  /** A sentence below. */
  readonly hint: string | null;
}

/** Asks for one of the provider's own cards. */
export function CardField({ label, choices, stored, hint }: CardFieldProps): VNode {
  return (
    <>
      <label for="card">{label}</label>
      <select id="card" name="card" required aria-describedby={hint === null ? undefined : "card-hint"}>
        {stored === null && <option value="">Choose a card</option>}
        {choices.map(({ id, label: card }) => (
          <option key={id} value={id}>
            {id === stored ? `Stored: ${card}` : card}
          </option>
        ))}
      </select>
      {hint !== null && (
        <p class="hint" id="card-hint">
          {hint}
        </p>
      )}
    </>
  );
}

function OrderFacts({ order, isAsked = false }: { order: Order; isAsked?: boolean }): VNode {
  const { organization, buyer, dates, purchaseOrder, note, total } = order;
  const { term, dueNow, taxRate, tax } = order.price;
  const rows: Fact[] = [
    { label: "Seller", value: order.seller },
    { label: LABELS.organization, value: `${organization.name} (${organization.id})` },
  ];
  if (buyer !== null) rows.push({ label: LABELS.buyer, value: buyerText(buyer) });
  rows.push({ label: LABELS.licenses, value: licensesText(order) });
  rows.push({ label: LABELS.term, value: termText(term, dates) });
  if (purchaseOrder !== null) rows.push({ label: LABELS.purchaseOrder, value: purchaseOrder });
  if (note !== null) rows.push({ label: LABELS.note, value: note });
  rows.push({ label: LABELS.subtotal, value: formatMoney(dueNow), kind: "amount" });
  rows.push({ label: LABELS.tax(taxRate), value: formatMoney(tax), kind: "amount" });
  rows.push({ label: isAsked ? "Due now" : LABELS.total, value: formatMoney(total), kind: "total" });
  if (isAsked) rows.push(deadlineRow(order), renewalRow(order));
  return <Facts rows={rows} />;
}

/** Says until when a purchase can be paid, and of a renewal, which stays payable, what its deadline means. */
function deadlineRow({ kind, deadline, isSuspended, dates }: Order): Fact {
  const when = dates.instant(deadline);
  if (kind === "purchase") return { label: "Pay until", value: when };
  return isSuspended
    ? { label: "Was due", value: `${when}; the subscription is suspended until this is paid` }
    : { label: "Pay until", value: `${when}, or the subscription is suspended` };
}

function renewalRow({ renewsAt, price, dates, missed }: Order): Fact {
  if (missed !== null) {
    const count = missed.renewals === 1 ? "1 more renewal" : `${missed.renewals} more renewals`;
    return { label: "Then due", value: `${formatMoney(missed.total)} for ${count}, once this is paid` };
  }
  const date = dates.date(price.term.renewalDate);
  if (renewsAt === null) return { label: "Ends", value: `${date}, without a renewal` };
  const { total, subtotal, tax } = renewsAt;
  const parts = tax.amount === 0 ? "" : ` (${formatMoney(subtotal)} + ${formatMoney(tax)} tax)`;
  return { label: "Renews at", value: `${formatMoney(total)}${parts} on\u00a0${date}` };
}
