import { addIntervals, type CalendarDate } from "../../billing/calendar.ts";
import type { Money } from "../../billing/money.ts";
import { type Charge, recurringCharge } from "../../billing/proration.ts";
import type { Offer } from "./offer.ts";
import { priceOn } from "./verifyQuote.ts";

const MOST_DATES = 12;

/** What licenses cost when they are bought on a date. */
interface DatedPrice {
  readonly date: CalendarDate;
  readonly daysRemaining: number;
  readonly dueNow: Money;
  readonly tax: Money;
  readonly total: Money;
}

/** What an offer's licenses cost today and later, as far as price, tax and count stay what they are. */
export interface Forecast {
  /** Today, and the same day of the months to come before the renewal date: at most twelve dates. */
  readonly prices: DatedPrice[];
  /** What these licenses are of the recurring total from the renewal date on; `null` without a renewal. */
  readonly renewal: (Charge & { readonly date: CalendarDate }) | null;
}

/** The prices to come, by the rules that the quote was checked with (billing-rules.md, Proration and Renewal). */
export function forecast({ subscription, quote }: Offer): Forecast {
  const { licenses, unitPrice, taxRate, renewsAt, chargeStep } = quote;
  const prices = datesOf(quote.purchaseDate, quote.term.renewalDate).map((date) => {
    const { term, dueNow, tax, total } = priceOn(date, subscription, quote, licenses);
    return { date, daysRemaining: term.daysRemaining, dueNow, tax, total };
  });
  const recurring = recurringCharge({ unitPrice, licenses, taxRate, chargeStep });
  return { prices, renewal: renewsAt && { date: renewsAt.date, ...recurring } };
}

function datesOf(today: CalendarDate, renewalDate: CalendarDate): CalendarDate[] {
  const dates: CalendarDate[] = [];
  for (let months = 0; ; months += 1) {
    const date = addIntervals(today, "month", months);
    if (date >= renewalDate) break;
    dates.push(date);
  }
  const every = Math.ceil(dates.length / MOST_DATES);
  return dates.filter((_, index) => index % every === 0);
}
