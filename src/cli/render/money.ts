import { formatMoney, type Money } from "../../billing/money.ts";

/** The locale that the environment names (`LC_ALL`, `LC_MESSAGES`, `LANG`), as the platform reads it. */
const platformLocale = new Intl.NumberFormat().resolvedOptions().locale;
const LOCALE = platformLocale === "und" ? "en-US" : platformLocale;

/** An amount for a person, as their locale writes it; what others read later is written with `formatMoney`. */
export function moneyText(value: Money): string {
  return formatMoney(value, LOCALE);
}
