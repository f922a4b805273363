import stringWidth from "string-width";
import { addIntervals, type CalendarDate } from "../../billing/calendar.ts";
import type { Money } from "../../billing/money.ts";
import { type Charge, isTaxed, recurringCharge } from "../../billing/proration.ts";
import type { Quote, Subscription } from "../../contract/billing.ts";
import type { View } from "../kit/output.ts";
import { columns } from "../kit/table.ts";
import { bar } from "../kit/text.ts";
import { countChange, decimalText, interval, licenses, moneyText, reducedTo } from "../kit/words.ts";
import { wrap } from "../kit/wrap.ts";
import { type Offer, priceOn } from "./engine/offer.ts";

const MAX_DATES = 12;

/** What licenses cost when they are bought on a date. */
type DatedPrice = Pick<Quote, "dueNow" | "tax" | "total"> & {
  readonly date: CalendarDate;
  readonly daysRemaining: number;
};

/** What an offer's licenses cost today and later, if price, tax rate and count stay the same. */
interface Forecast {
  /** Today, and the same day of the months to come before the renewal date: at most twelve dates. */
  readonly prices: DatedPrice[];
  /** What these licenses add to the recurring total from the renewal date on; `null` without a renewal. */
  readonly renewal: (Charge & { readonly date: CalendarDate }) | null;
}

/** Prices an offer's licenses on later dates by the rules that the quote was checked with (src/billing/README.md, Proration and Renewal). */
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
  const every = Math.ceil(dates.length / MAX_DATES);
  return dates.filter((_, index) => index % every === 0);
}

const GAPS = 4;

const MAX_CHART_WIDTH = 60;

/** Renders what several numbers of licenses cost today, with tax, and what the subscription would renew at. */
export function renderComparison(offers: readonly Offer[], view: View): string {
  const totals = offers.map(({ quote }) => quote.total);
  const rows = offers.map(({ quote }) => [
    countChange(quote.licensesAfter, quote.licenses),
    quote.renewsAt === null ? "no renewal" : moneyText(quote.renewsAt.total),
    moneyText(quote.total),
  ]);
  const table = chart(["Licenses", "Renews at", "Due now"], rows, totals, view);
  const [first] = offers;
  return [table, ...(first ? [...taxLines(first.quote), ...reductionLines(first.subscription, view)] : [])].join("\n");
}

/** Renders what an offer's licenses cost on later dates, with tax, and from the renewal on. */
export function renderForecast({ quote, subscription }: Offer, { prices, renewal }: Forecast, view: View): string {
  const rows = prices.map(({ date, daysRemaining, total }) => [
    date,
    daysRemaining === 1 ? "1 day" : `${daysRemaining} days`,
    moneyText(total),
  ]);
  const totals = prices.map(({ total }) => total);
  const whole = interval(subscription.plan);
  const last = renewal && [[renewal.date, whole, moneyText(renewal.total)]];
  const table = chart(
    ["Bought on", "Pays for", "Total"],
    [...rows, ...(last ?? [])],
    [...totals, ...(renewal ? [renewal.total] : [])],
    view,
  );
  const end = renewal
    ? `From ${renewal.date} on they are part of the recurring total, ${whole}.`
    : `The subscription ends on ${quote.term.renewalDate}, without renewal.`;
  const withTax = isTaxed(quote.taxRate) ? ", with tax" : "";
  const intro = `${licenses(quote.licenses)}${withTax}, at today's price and rate:`;
  const reduction = reductionLines(subscription, view);
  return [wrap(intro, view.width), table, wrap(end, view.width), ...reduction].join("\n");
}

/** Says that the amounts of a chart include tax. */
function taxLines({ taxRate }: Offer["quote"]): string[] {
  return isTaxed(taxRate) ? [`Amounts include ${decimalText(taxRate)}% tax.`] : [];
}

/** Says that purchases add to a scheduled reduction (src/billing/README.md, Reductions). */
function reductionLines({ reduction, licenses: { used } }: Subscription, { width }: View): string[] {
  if (reduction === null) return [];
  const scheduled = `to ${reducedTo(reduction, used)} on ${reduction.date}`;
  return [wrap(`A reduction ${scheduled} is scheduled; licenses bought before then are added to it.`, width)];
}

/** Draws rows with a bar each, in proportion to the largest amount. */
function chart(
  heads: readonly string[],
  cellRows: readonly (readonly string[])[],
  amounts: readonly Money[],
  view: View,
): string {
  const { inCharset } = view;
  const rows = inCharset ? cellRows.map((row) => row.map(inCharset)) : cellRows;
  const largest = Math.max(1, ...amounts.map(({ amount }) => amount));
  const widths = heads.map((head, column) =>
    Math.max(...[head, ...rows.map((row) => row[column] ?? "")].map((cell) => stringWidth(cell))),
  );
  const room = Math.min(view.width, MAX_CHART_WIDTH) - widths.reduce((sum, width) => sum + width, 0) - GAPS - 2;
  const [headCells = [], ...cells] = [heads, ...rows].map((row) => row.map((cell, at) => aligned(cell, at, widths)));
  if (room < 4 || view.isPlain) return columns(headCells, cells, widths, view);
  const drawn = cells.map((row, index) => [...row, bar((amounts[index]?.amount ?? 0) / largest, room).filled]);
  return columns([...headCells, ""], drawn, [...widths, room], view);
}

/** Aligns numbers to the right, and the first column to the left. */
function aligned(cell: string, column: number, widths: readonly number[]): string {
  return column === 0 ? cell : " ".repeat((widths[column] ?? 0) - stringWidth(cell)) + cell;
}
