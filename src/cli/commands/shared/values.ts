import { InvalidArgumentError } from "commander";

/**
 * Reads a whole number written in plain digits: no sign, no point, no exponent, no leading zero.
 *
 * @throws InvalidArgumentError for anything else and outside `minimum`…`maximum`
 */
export function wholeNumber(minimum: number, maximum = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = /^(0|[1-9]\d*)$/.test(text) ? Number(text) : Number.NaN;
    if (value >= minimum && value <= maximum) return value;
    const isOpen = maximum === Number.MAX_SAFE_INTEGER && !(value > maximum);
    const range = isOpen ? `${minimum} or more` : `${minimum} to ${maximum}`;
    throw new InvalidArgumentError(`It must be a whole number, ${range}.`);
  };
}

/** Checks the shape of an amount in major units, `500` or `500.00`; its decimals depend on the currency. */
export function amountText(text: string): string {
  if (/^(0|[1-9]\d{0,14})(\.\d{1,4})?$/.test(text)) return text;
  throw new InvalidArgumentError("It must be an amount such as 500 or 500.00, without a currency sign.");
}

/** Checks an idempotency key: 1 to 255 visible ASCII characters (purchase.md, Idempotency). */
export function idempotencyKey(text: string): string {
  if (/^[\x21-\x7e]{1,255}$/.test(text)) return text;
  throw new InvalidArgumentError("It must be 1 to 255 visible ASCII characters without spaces.");
}

/** Checks a text's length in characters. */
export function shortText(maximum: number): (text: string) => string {
  return (text) => {
    if (text.trim() !== "" && text.length <= maximum) return text;
    throw new InvalidArgumentError(`It must have 1 to ${maximum} characters.`);
  };
}

/** Refuses an empty text, such as of a variable that was never set. */
export function someText(text: string): string {
  if (text.trim() !== "") return text;
  throw new InvalidArgumentError("It must not be empty.");
}
