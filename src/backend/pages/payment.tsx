import type { ComponentChildren, VNode } from "preact";
import { formatMoney, type Money } from "../../billing/money.ts";
import type { Price } from "../../billing/quote.ts";
import type { PaymentAccount, PaymentChoice } from "../payments/gateway.ts";
import { Facts, Hidden, type Page, Problem } from "./page.tsx";

/** What is paid for, as its page shows it. */
export interface Order {
  readonly kind: "purchase" | "renewal";
  readonly account: PaymentAccount;
  readonly organization: string;
  readonly buyer: { readonly email: string | null; readonly token: string | null };
  readonly licenses: number;
  /** The organization's licenses before the purchase; `null` when none were or will be added. */
  readonly licensesBefore: number | null;
  readonly price: Pick<Price, "term" | "dueNow" | "taxRate" | "tax">;
  readonly total: Money;
  readonly purchaseOrder: string | null;
  /** Until when it may be paid, milliseconds, and the billing time zone to say it in. */
  readonly deadline: number;
  /** It is a renewal whose deadline is past: it may still be paid. */
  readonly isSuspended: boolean;
  readonly timeZone: string;
  /** The language of the dates, a BCP 47 tag. */
  readonly locale: string;
}

/** The form of the page. */
export interface PaymentForm {
  readonly token: string;
  /** What may be chosen, the one that is paid with when nothing is chosen first. */
  readonly choices: readonly PaymentChoice[];
  /** The organization's own payment method, `null` when it has none. */
  readonly stored: string | null;
  readonly cancelable: boolean;
  /** The page's own. */
  readonly address: string;
}

/** What went wrong before, in sentences, and the status that goes with it. */
export interface PaymentProblem {
  readonly status: number;
  readonly sentence: string;
}

/** A person is asked to pay, or to cancel. */
export function askPage(order: Order, form: PaymentForm, problem?: PaymentProblem): Page {
  return {
    status: problem?.status ?? 200,
    title: `${order.kind === "renewal" ? "Pay the renewal of" : "Pay for"} ${inLicenses(order.licenses)}`,
    banner: bannerOf(order.account),
    body: (
      <>
        {problem && <Problem>{problem.sentence}</Problem>}
        <OrderFacts order={order} isAsked />
        <form method="post">
          <Hidden fields={{ form: form.token }} />
          <CardField form={form} />
          <div class="actions">
            <button type="submit" name="action" value="pay">
              Pay {formatMoney(order.total)}
            </button>
          </div>
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

/** Asks once more before a purchase is canceled. */
export function cancelPage(order: Order, form: Pick<PaymentForm, "token" | "address">): Page {
  const { licenses, organization, total } = order;
  return {
    status: 200,
    title: "Cancel this purchase?",
    banner: bannerOf(order.account),
    body: (
      <>
        <p>
          {inLicenses(licenses)} for {organization}, {formatMoney(total)}. Nothing is charged, and no license is added.
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

/** What the pages of a provider's account say first; `null` where money moves. */
export function bannerOf({ mode }: PaymentAccount): string | null {
  return mode === "live" ? null : `${mode.toUpperCase()}: no money moves`;
}

/** How a purchase stands when nothing is asked of anybody. `order` is left out once its time to pay is over. */
export function standingPage(
  standing: { readonly status: number; readonly title: string; readonly sentences: readonly string[] },
  account: PaymentAccount,
  order: Order | null,
  more?: ComponentChildren,
): Page {
  return {
    status: standing.status,
    title: standing.title,
    banner: bannerOf(account),
    body: (
      <>
        {standing.sentences.map((sentence) => (
          <p key={sentence}>{sentence}</p>
        ))}
        {more}
        {order && <OrderFacts order={order} />}
      </>
    ),
  };
}

/** Asks for the page again, without sending its form again. */
export function LookAgain({ address }: { address: string }): VNode {
  return (
    <p>
      <a href={address}>Look again</a>
    </p>
  );
}

/** A count with its word: `1 license`, `5 licenses`. */
export function inLicenses(count: number): string {
  return count === 1 ? "1 license" : `${count} licenses`;
}

function CardField({ form }: { form: PaymentForm }): VNode {
  const hint = form.stored === null ? "There is no payment method yet: this one is kept for the next payments." : null;
  return (
    <>
      <label for="card">Pay with</label>
      <select id="card" name="card" required aria-describedby={hint === null ? undefined : "card-hint"}>
        {form.stored === null && <option value="">Choose a card</option>}
        {form.choices.map(({ id, label }) => (
          <option key={id} value={id}>
            {id === form.stored ? `${label} (stored)` : label}
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
  const { term, dueNow, taxRate, tax } = order.price;
  const { email, token } = order.buyer;
  const date = (text: string) => dateText(text, order.locale);
  const rows: (readonly [string, ComponentChildren])[] = [
    ["Seller", order.account.seller],
    ["Organization", order.organization],
    ["Bought by", token === null ? (email ?? "the subscription") : `${email}, with the token ${token}`],
    ["Licenses", licensesText(order)],
    ["Term", `${date(term.start)} to ${date(term.renewalDate)}, ${term.daysRemaining} of ${term.days} days`],
  ];
  if (order.purchaseOrder !== null) rows.push(["Purchase order", order.purchaseOrder]);
  rows.push(["Subtotal", formatMoney(dueNow)], [`Tax (${taxRate}%)`, formatMoney(tax)]);
  rows.push([isAsked ? "Due now" : "Total", <strong key="total">{formatMoney(order.total)}</strong>]);
  if (isAsked) rows.push(deadlineRow(order));
  return <Facts rows={rows} />;
}

/** Until when it may be paid; of a renewal, which stays payable, what its deadline brings. */
function deadlineRow({ kind, deadline, isSuspended, timeZone, locale }: Order): readonly [string, string] {
  const when = inZone(deadline, timeZone, locale);
  if (kind === "purchase") return ["Pay until", when];
  return isSuspended
    ? ["Was due by", `${when}; the subscription is suspended until this is paid`]
    : ["Pay until", `${when}, or the subscription is suspended`];
}

/** What is added and what comes of it: a number alone might mean either. A renewal adds none. */
function licensesText({ kind, licenses, licensesBefore: before }: Order): string {
  if (kind === "renewal") return `${licenses}, renewed`;
  return before === null ? `${licenses} more` : `${licenses} more (${before} → ${before + licenses})`;
}

function dateText(date: string, locale: string): string {
  const format = new Intl.DateTimeFormat(locale, { dateStyle: "long", timeZone: "UTC" });
  return format.format(Date.parse(`${date}T00:00:00Z`));
}

function inZone(instant: number, timeZone: string, locale: string): string {
  const parts = { year: "numeric", month: "long", day: "numeric", hour: "numeric", minute: "2-digit" } as const;
  return new Intl.DateTimeFormat(locale, { ...parts, timeZone, timeZoneName: "short" }).format(instant);
}
