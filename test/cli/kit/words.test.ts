import { describe, expect, it } from "vitest";
import { formattingLocale, moneyText } from "../../../src/cli/kit/words.ts";

const POUNDS = { amount: 123_450, currency: "GBP" };

describe("the locale for amounts", () => {
  it.each([
    ["de-DE-x-lvariant-euro", "de-DE", "1.234,50 £"],
    ["de-DE-x-lvariant-long-modifier-name-very", "de-DE", "1.234,50 £"],
    ["ca-ES-valencia", "ca-ES-valencia", "1.234,50 £"],
    ["en-US-posix-x-lvariant-x", "en-US", "£1,234.50"],
    ["en-US-u-va-posix", "en-US", "£1,234.50"],
    ["und", "en-US", "£1,234.50"],
    ["garbage", "en-US", "£1,234.50"],
    ["not a locale!", "en-US", "£1,234.50"],
    ["x".repeat(1_000), "en-US", "£1,234.50"],
    ["", "en-US", "£1,234.50"],
  ])("replaces %s by %s", (platform, locale, text) => {
    expect(formattingLocale(() => platform)).toBe(locale);
    expect(
      moneyText(
        POUNDS,
        formattingLocale(() => platform),
      ),
    ).toBe(text);
  });

  it("is en-US if the platform reports none", () => {
    const failing = () => {
      throw new RangeError("Incorrect locale information provided");
    };
    expect(formattingLocale(failing)).toBe("en-US");
  });
});

it("an amount is formatted with any locale and currency", () => {
  expect(moneyText(POUNDS, "de-DE-x-lvariant-euro")).toBe("£1,234.50");
  expect(moneyText(POUNDS, "!")).toBe("£1,234.50");
  expect(moneyText({ amount: 5, currency: "£" }, "en-US")).toBe("£ 0.05");
});
