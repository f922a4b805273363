import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromStripeAmount, stripeLimits, toStripeAmount } from "../../../../src/backend/payments/stripe/units.ts";
import { maxChargeStep } from "../../../../src/billing/proration.ts";

const CHARGED = Intl.supportedValuesOf("currency").filter((currency) => stripeLimits(currency) !== null);

test("Stripe has the currencies of more than 135 countries, and not those that are no more", () => {
  expect(CHARGED.length).toBeGreaterThan(130);
  expect(["BGN", "HRK", "IRR", "CLF", "XAU", "USDX"].filter((currency) => stripeLimits(currency))).toEqual([]);
});

test.each([
  ["GBP", 24_410, 24_410],
  ["JPY", 1_200, 1_200],
  ["ISK", 500, 50_000],
  ["UGX", 3_700, 370_000],
  ["MGA", 123_500, 1_235],
  ["KWD", 1_230, 1_230],
])("%s %i is sent as %i", (currency, amount, sent) => {
  expect(toStripeAmount({ amount, currency })).toBe(sent);
  expect(fromStripeAmount(sent, currency.toLowerCase())).toEqual({ amount, currency });
});

describe.each(CHARGED)("in %s", (currency) => {
  const { minimum, maximum, step } = stripeLimits(currency) ?? { minimum: 0, maximum: 0, step: 1 };

  test("what is charged, read back, is what was confirmed", () => {
    fc.assert(
      fc.property(fc.integer({ min: Math.ceil(minimum / step), max: Math.floor((maximum ?? 0) / step) }), (steps) => {
        const confirmed = { amount: steps * step, currency };
        const sent = toStripeAmount(confirmed);
        expect(Number.isInteger(sent)).toBe(true);
        expect(sent).toBeLessThanOrEqual(999_999_999);
        expect(fromStripeAmount(sent, currency.toLowerCase())).toEqual(confirmed);
      }),
    );
  });

  test("a client accepts the step", () => {
    expect(step).toBe(maxChargeStep(currency));
  });
});

test.each([
  ["USD", 50, 99_999_999],
  ["GBP", 30, 99_999_999],
  ["JPY", 50, 99_999_999],
  ["HUF", 17_500, 99_999_999],
  ["ISK", 0, 999_999],
  ["MGA", 0, 9_999_999_900],
  ["KWD", 0, 99_999_990],
  ["INR", 50, 999_999_999],
])("%s is charged from %i to %i", (currency, minimum, maximum) => {
  expect(stripeLimits(currency)).toMatchObject({ minimum, maximum });
});

test("the minimum of a currency for which Stripe names none is a setting", () => {
  expect(stripeLimits("ISK", { ISK: 70, USD: 1 })).toMatchObject({ minimum: 70 });
  expect(stripeLimits("USD", { USD: 1 })).toMatchObject({ minimum: 50 });
});

test("a part of an ariary is not sent", () => {
  expect(() => toStripeAmount({ amount: 150, currency: "MGA" })).toThrow(RangeError);
});
