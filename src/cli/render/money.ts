import { formatMoney, type Money, toDecimalString } from "../../billing/money.ts";

const FALLBACK_LOCALE = "en-US";

/** What `LC_ALL=de_DE@euro` and `LC_ALL=C.UTF-8@x` add to a locale, which no amount is formatted with. */
const NO_LOCALE_PARTS = /(?:-u-va)?(?:-posix)?(?:-x-.*)?$/i;

/** The locale that the environment names (`LC_ALL`, `LC_MESSAGES`, `LANG`), as far as it formats amounts. */
const LOCALE = formattingLocale(() => new Intl.NumberFormat().resolvedOptions().locale);

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
export function moneyText(value: Money, locale = LOCALE): string {
  for (const tried of [locale, FALLBACK_LOCALE]) {
    try {
      return formatMoney(value, tried);
    } catch {
      // The next one may be known.
    }
  }
  return `${value.currency} ${toDecimalString(value)}`;
}
