/**
 * The language that a reader likes best of those that dates can be written in (RFC 9110, section 12.5.4).
 *
 * @returns a BCP 47 tag; American English where the header names none
 */
export function readerLocale(acceptLanguage: string | undefined): string {
  const ranges = (acceptLanguage ?? "").slice(0, MAX_LENGTH).split(",").map(readRange);
  const wanted = ranges.filter(({ weight }) => weight > 0).sort((one, other) => other.weight - one.weight);
  return wanted.map(({ tag }) => supported(tag)).find((tag) => tag !== null) ?? "en-US";
}

const MAX_LENGTH = 1_000;

function readRange(text: string): { tag: string; weight: number } {
  const [tag = "", ...parameters] = text.split(";").map((part) => part.trim());
  const weight = parameters.find((parameter) => /^q=/i.test(parameter))?.slice(2) ?? "1";
  return { tag, weight: /^[01](\.\d{1,3})?$/.test(weight) ? Number(weight) : 0 };
}

/** Languages and regions only: an extension could ask for another calendar or other digits. */
function supported(tag: string): string | null {
  if (!/^[a-z]{2,3}(-[a-z]{4})?(-([a-z]{2}|\d{3}))?$/i.test(tag)) return null;
  return Intl.DateTimeFormat.supportedLocalesOf(tag)[0] ?? null;
}
