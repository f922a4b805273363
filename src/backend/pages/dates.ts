import type { DateWords } from "../receipts/content.ts";

/**
 * How pages write dates: in English, as everything else on them, but in the order and with the clock that the reader
 * uses: `March 1, 2026 at 12:00 PM GMT` or `1 March 2026 at 12:00 GMT`. Lines break around `at` only.
 *
 * @param locale an English BCP 47 tag, see `readerLocale`
 */
export function readerDates(locale: string, timeZone: string): DateWords {
  const day = { year: "numeric", month: "long", day: "numeric" } as const;
  const minute = { hour: "numeric", minute: "2-digit", timeZoneName: "short" } as const;
  const write = (options: Intl.DateTimeFormatOptions, instant: number) =>
    new Intl.DateTimeFormat(locale, options).format(instant).replaceAll(/\s/g, NO_BREAK);
  return {
    date: (text) => write({ ...day, timeZone: "UTC" }, Date.parse(`${text}T00:00:00Z`)),
    instant: (at) => `${write({ ...day, timeZone }, at)} at ${write({ ...minute, timeZone }, at)}`,
  };
}

const NO_BREAK = "\u00a0";

const MAX_HEADER_LENGTH = 1_000;

/**
 * Returns the kind of English in which a reader's dates are written: their own, or for another language British, whose
 * dates begin with the day and whose clock has 24 hours, as in most of the world.
 *
 * @param acceptLanguage the header (RFC 9110, section 12.5.4)
 * @returns a BCP 47 tag; American English when the header names no language
 */
export function readerLocale(acceptLanguage: string | undefined): string {
  const ranges = (acceptLanguage ?? "").slice(0, MAX_HEADER_LENGTH).split(",").map(readRange);
  const wanted = ranges.filter(({ weight }) => weight > 0).sort((one, other) => other.weight - one.weight);
  const first = wanted.map(({ tag }) => supported(tag)).find((tag) => tag !== null) ?? "en-US";
  return /^en\b/.test(first) ? first : "en-GB";
}

function readRange(text: string): { tag: string; weight: number } {
  const [tag = "", ...parameters] = text.split(";").map((part) => part.trim());
  const weight = parameters.find((parameter) => /^q=/i.test(parameter))?.slice(2) ?? "1";
  return { tag, weight: /^[01](\.\d{1,3})?$/.test(weight) ? Number(weight) : 0 };
}

/** Accepts languages and regions only: an extension could select another calendar or other digits. */
function supported(tag: string): string | null {
  if (!/^[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|\d{3}))?$/i.test(tag)) return null;
  return Intl.DateTimeFormat.supportedLocalesOf(tag)[0] ?? null;
}
