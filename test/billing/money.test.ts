import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addMoney,
  currencyExponent,
  formatMoney,
  isCurrency,
  money,
  parseMoney,
  toDecimalString,
} from "../../src/billing/money.ts";
import { anyCurrency } from "../support/arbitraries.ts";

const anyAmount = fc.maxSafeInteger();

describe("the currency's minor unit (ISO 4217)", () => {
  test.each([
    ["USD", 2],
    ["GBP", 2],
    ["EUR", 2],
    ["HUF", 2],
    ["JPY", 0],
    ["CLP", 0],
    ["KRW", 0],
    ["ISK", 0],
    ["UGX", 0],
    ["VND", 0],
    ["KWD", 3],
    ["BHD", 3],
    ["TND", 3],
    ["IQD", 3],
    ["CLF", 4],
  ])("%s has %d decimals", (currency, exponent) => {
    expect(currencyExponent(currency)).toBe(exponent);
  });

  test.each(["constructor", "__proto__", "toString"])("%s is not a currency with three decimals", (name) => {
    expect(currencyExponent(name)).toBe(2);
    expect(isCurrency(name)).toBe(false);
  });

  test.each([
    ["GBP", true],
    ["JPY", true],
    ["gbp", false],
    ["ZZZ", false],
    ["", false],
  ])("isCurrency(%j) is %s", (code, known) => {
    expect(isCurrency(code)).toBe(known);
  });
});

describe("formatMoney", () => {
  test.each([
    [24410, "GBP", "£244.10"],
    [0, "GBP", "£0.00"],
    [5, "GBP", "£0.05"],
    [-5, "GBP", "-£0.05"],
    [90000, "USD", "US$900.00"],
    [123456789, "EUR", "€1,234,567.89"],
    [1200, "JPY", "JP¥1,200"],
    [0, "JPY", "JP¥0"],
    [500000, "KRW", "₩500,000"],
    [1250, "KWD", "KWD 1.250"],
    [1, "BHD", "BHD 0.001"],
    [1234, "IQD", "IQD 1.234"],
    [100000, "ISK", "ISK 100,000"],
    [Number.MAX_SAFE_INTEGER, "GBP", "£90,071,992,547,409.91"],
    [Number.MAX_SAFE_INTEGER, "KWD", "KWD 9,007,199,254,740.991"],
  ])("%d %s is %s", (amount, currency, text) => {
    expect(formatMoney({ amount, currency })).toBe(text);
  });

  test.each([
    ["de-DE", "GBP", "1.234,56 £"],
    ["de-DE", "USD", "1.234,56 US$"],
    ["en-CA", "CAD", "CA$1,234.56"],
    ["en-AU", "USD", "US$ 1,234.56"],
    ["fr-FR", "EUR", "1 234,56 €"],
    ["fr-CH", "GBP", "1 234.56 £"],
    ["sv-SE", "SEK", "1 234,56 SEK"],
    ["tr-TR", "TRY", "TRY 1.234,56"],
    ["ja-JP", "JPY", "JP¥123,456"],
    ["ar-EG", "USD", "1,234.56 US$"],
    ["en-IN", "INR", "₹1,234.56"],
  ])("in %s, %s is %s", (locale, currency, text) => {
    expect(formatMoney({ amount: 123_456, currency }, locale)).toBe(text);
  });

  test("no two currencies look the same in any locale", () => {
    for (const locale of ["en-US", "en-CA", "de-DE", "zh-CN", "sv-SE", "es-MX", "ar-EG"]) {
      const currencies = Intl.supportedValuesOf("currency");
      const signs = currencies.map((currency) =>
        formatMoney({ amount: 0, currency }, locale).replaceAll(/[\d.,\s]/g, ""),
      );
      expect(new Set(signs).size).toBe(currencies.length);
    }
  });

  test("keeps every digit of any amount, in any locale", () => {
    fc.assert(
      fc.property(
        anyAmount,
        anyCurrency,
        fc.constantFrom("en-US", "de-DE", "ar-EG", "hi-IN"),
        (amount, currency, locale) => {
          const digits = formatMoney({ amount, currency }, locale).replaceAll(/\D/g, "");
          expect(BigInt(digits)).toBe(BigInt(Math.abs(amount)));
        },
      ),
    );
  });
});

describe("toDecimalString and parseMoney", () => {
  test.each([
    [24410, "GBP", "244.10"],
    [5, "GBP", "0.05"],
    [-5, "GBP", "-0.05"],
    [0, "GBP", "0.00"],
    [1200, "JPY", "1200"],
    [-7, "JPY", "-7"],
    [1, "KWD", "0.001"],
    [12345, "CLF", "1.2345"],
    [Number.MAX_SAFE_INTEGER, "USD", "90071992547409.91"],
  ])("%d %s is %s", (amount, currency, text) => {
    expect(toDecimalString({ amount, currency })).toBe(text);
  });

  test.each([
    ["500", "GBP", 50000],
    ["500.00", "GBP", 50000],
    ["500.5", "GBP", 50050],
    ["0.01", "GBP", 1],
    ["0", "GBP", 0],
    ["007", "GBP", 700],
    ["500", "JPY", 500],
    ["500.00", "JPY", 500],
    ["1.2500", "KWD", 1250],
    ["1.250", "KWD", 1250],
    ["1.25", "KWD", 1250],
    ["90071992547409.91", "USD", Number.MAX_SAFE_INTEGER],
  ])("%j in %s is %d minor units", (text, currency, amount) => {
    expect(parseMoney(text, currency)).toEqual({ amount, currency });
  });

  test.each([
    ["", "GBP"],
    [" 5", "GBP"],
    ["-5", "GBP"],
    ["+5", "GBP"],
    ["5.", "GBP"],
    [".5", "GBP"],
    ["5.001", "GBP"],
    ["5,00", "GBP"],
    ["1,000.00", "GBP"],
    ["£5", "GBP"],
    ["5e2", "GBP"],
    ["0x5", "GBP"],
    ["5.5", "JPY"],
    ["1.2345", "KWD"],
    ["٥", "GBP"],
    ["Infinity", "GBP"],
    ["5\n", "GBP"],
  ])("%j is not an amount in %s", (text, currency) => {
    expect(() => parseMoney(text, currency)).toThrow(expect.objectContaining({ code: "invalid_amount" }));
  });

  test("an amount beyond a safe integer is an error", () => {
    expect(() => parseMoney("90071992547409.92", "USD")).toThrow(
      expect.objectContaining({ code: "amount_out_of_range" }),
    );
  });

  test("parsing a formatted amount gives it back", () => {
    fc.assert(
      fc.property(fc.nat(999_999_999_999_999), anyCurrency, (amount, currency) => {
        expect(parseMoney(toDecimalString({ amount, currency }), currency)).toEqual({ amount, currency });
      }),
    );
  });
});

describe("money and addMoney", () => {
  test.each([9_007_199_254_740_992n, -9_007_199_254_740_992n, 10n ** 30n, Number.NaN, 0.5, Number.POSITIVE_INFINITY])(
    "%s is out of range",
    (amount) => {
      expect(() => money(amount, "USD")).toThrow(expect.objectContaining({ code: "amount_out_of_range" }));
    },
  );

  test("a bigint beyond double precision is never rounded into range", () => {
    expect(money(9_007_199_254_740_991n, "USD").amount).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => money(9_007_199_254_740_993n, "USD")).toThrow(
      expect.objectContaining({ code: "amount_out_of_range" }),
    );
  });

  test("sums are exact or rejected", () => {
    expect(addMoney({ amount: 20342, currency: "GBP" }, { amount: 4068, currency: "GBP" })).toEqual({
      amount: 24410,
      currency: "GBP",
    });
    expect(() =>
      addMoney({ amount: Number.MAX_SAFE_INTEGER, currency: "GBP" }, { amount: 1, currency: "GBP" }),
    ).toThrow(expect.objectContaining({ code: "amount_out_of_range" }));
    expect(() => addMoney({ amount: 1, currency: "GBP" }, { amount: 1, currency: "EUR" })).toThrow(
      expect.objectContaining({ code: "invalid_amount" }),
    );
  });
});
