import dayjs from "dayjs";
import utc from "dayjs/plugin/utc.js";
import { formatMoney, type Money, toDecimalString } from "../../billing/money.ts";
import type { LicenseCounts } from "../../contract/basics.ts";
import type { Quote, Subscription } from "../../contract/billing.ts";
import { type ModeFields, modeOf } from "../../contract/mode.ts";
import type { BudgetState, PendingChange } from "../../contract/policy.ts";
import { clean } from "./text.ts";

dayjs.extend(utc);

/** `1 license`, `5 licenses`. */
export function licenses(count: number): string {
  return `${count} ${count === 1 ? "license" : "licenses"}`;
}

/** `25 → 30`. */
export function countChange(after: number, bought: number): string {
  return `${after - bought} → ${after}`;
}

/** `25 purchased, 22 used, 3 available`. */
export function counts({ purchased, used, available }: LicenseCounts): string {
  return `${purchased} purchased, ${used} used, ${available} available`;
}

/** What is charged, with what it is made of: `£244.10 (£203.42 + £40.68 tax)`; without tax just the amount. */
export function withTax({ total, net, tax }: { total: Money; net: Money; tax: Money }): string {
  return tax.amount === 0 ? moneyText(total) : `${moneyText(total)} (${moneyText(net)} + ${moneyText(tax)} tax)`;
}

/** `2027-03-01 (in 99 days)`; the days are the backend's, never this machine's clock. */
export function dateAhead(date: string, days: number): string {
  return `${date} (${days === 0 ? "today" : days === 1 ? "in 1 day" : `in ${days} days`})`;
}

/** `2026-11-22 10:00 UTC`. */
export function instant(text: string): string {
  return dayjs.utc(text).format("YYYY-MM-DD HH:mm [UTC]");
}

/** `a year`, `every 3 months`. */
export function interval({ interval: unit, intervalCount }: Subscription["plan"]): string {
  return intervalCount === 1 ? `a ${unit}` : `every ${intervalCount} ${unit}s`;
}

/** What the subtotal comes from: `5 licenses × £150.00 a year × 99 of 365 days`. */
export function formula(quote: Quote, plan: Subscription["plan"]): string {
  const { daysRemaining, days } = quote.term;
  return `${licenses(quote.licenses)} × ${moneyText(quote.unitPrice)} ${interval(plan)} × ${daysRemaining} of ${days} days`;
}

/** `22 licenses`; if more are used, which a reduction never takes away, it says so. */
export function reducedTo(reduction: { readonly licenses: number }, used: number): string {
  const asked = licenses(reduction.licenses);
  return used > reduction.licenses ? `${asked} (${used}, as long as ${used} are in use)` : asked;
}

/** A scheduled reduction, and the renewal with the purchase that raises it; `null` without one. */
export function keptReduction(
  { reduction, licenses: { used } }: Pick<Subscription, "reduction" | "licenses">,
  { renewsAt }: Pick<Quote, "renewsAt">,
): string | null {
  if (reduction === null || renewsAt === null) return null;
  return `to ${reducedTo(reduction, used)} on ${reduction.date}, with this purchase to ${renewsAt.licenses}`;
}

/** The payment method's label, `none` without one. */
export function paymentMethod(method: Subscription["paymentMethod"]): string {
  return method === null ? "none" : clean(method.label);
}

/** Names an organization, and whether payments move money: `Northwind Labs (4201), SANDBOX`. */
export function organizationAndMode(
  about: ModeFields & { readonly organization: { readonly id: number; readonly name: string } },
  { style }: { readonly style: { bold(text: string): string } },
): string {
  const { id, name } = about.organization;
  return `${clean(name)} (${id}), ${style.bold(modeOf(about).toUpperCase())}`;
}

const FALLBACK_LOCALE = "en-US";

/** What `LC_ALL=de_DE@euro` and `LC_ALL=C.UTF-8@x` add to a locale, which no amount is formatted with. */
const NO_LOCALE_PARTS = /(?:-u-va)?(?:-posix)?(?:-x-.*)?$/i;

let machineLocale: string | null = null;

/**
 * The locale that the environment names (`LC_ALL`, `LC_MESSAGES`, `LANG`), if amounts can be formatted with it. Found when
 * the first amount is formatted, because loading locales takes longer than a request, and `--json` needs none.
 */
function localeHere(): string {
  machineLocale ??= formattingLocale(() => new Intl.NumberFormat().resolvedOptions().locale);
  return machineLocale;
}

/**
 * Finds the locale to format with: the platform's without its private-use and POSIX parts, or en-US where the platform
 * has no such locale.
 *
 * @param platform gives the platform's locale, and may throw
 */
export function formattingLocale(platform: () => string): string {
  try {
    const locale = platform().replace(NO_LOCALE_PARTS, "");
    if (Intl.NumberFormat.supportedLocalesOf(locale).length === 0) return FALLBACK_LOCALE;
    new Intl.NumberFormat(locale, { style: "currency", currency: "GBP" }).format(1);
    return locale;
  } catch {
    return FALLBACK_LOCALE;
  }
}

/**
 * An amount for a person, as their locale writes it; what others read later is written with `formatMoney`. Never throws:
 * an amount that no locale formats is `GBP 244.10`.
 */
export function moneyText(value: Money, locale = localeHere()): string {
  for (const tried of [locale, FALLBACK_LOCALE]) {
    try {
      return formatMoney(value, tried);
    } catch {
      // The next one may be known.
    }
  }
  return `${value.currency} ${toDecimalString(value)}`;
}

/** A plain decimal such as `1528.767123` as a person's locale writes it: all its digits, in Latin digits. */
export function decimalText(decimal: string, locale = localeHere()): string {
  const decimals = decimal.split(".")[1]?.length ?? 0;
  const style = { numberingSystem: "latn", minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  const text = new Intl.NumberFormat(locale, style).format(decimal as Intl.StringNumericLiteral);
  return text.replaceAll(/[\u00a0\u202f]/g, " ");
}

/** `3 licenses are held by users idle for 90 days`; `null` for none, and if that is not known. */
export function idleWords({ idle }: Pick<Subscription, "idle">): string | null {
  if (idle === null || idle.licenses === 0) return null;
  const held = idle.licenses === 1 ? "1 license is held by a user" : `${idle.licenses} licenses are held by users`;
  return `${held} idle for ${idle.days} days`;
}

/** `2 licenses are missing`. */
export function missingWords(missing: number): string {
  return `${licenses(missing)} ${missing === 1 ? "is" : "are"} missing`;
}

/** Says what a change waits for, and how it is approved. */
export function waitsFor({ id, takesEffectAt }: PendingChange): string {
  if (takesEffectAt !== null) return `The change takes effect at ${instant(takesEffectAt)}.`;
  return `Another administrator must approve the change: \`secureflag-licenses organizations policy approve ${clean(id)}\`.`;
}

/** `£2,000.00 a month, £1,755.90 left`, and if a purchase of a total exceeds it, that it does. */
export function budgetWords(
  { amount, period, left }: Omit<BudgetState, "spent" | "left"> & { readonly left: Money | null },
  total: Money | null = null,
): string {
  const rest = left === null ? "" : `, ${moneyText(left)} left`;
  const exceeds = left !== null && total !== null && total.amount > left.amount ? ", less than the total" : "";
  return `${moneyText(amount)} a ${period}${rest}${exceeds}`;
}
