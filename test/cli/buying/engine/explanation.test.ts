import { describe, expect, it } from "vitest";
import { explanation, localized } from "../../../../src/cli/buying/engine/explanation.ts";
import { quote, subscription } from "../../support/builders.ts";

const { plan } = subscription();

const priced = quote(50, {}, subscription({ taxRate: "8.875" }));

describe("the arithmetic of a quote", () => {
  it("is the same in every locale in a quote file", () => {
    expect(explanation(priced, plan)).toEqual([
      "Days: 2026-11-22 (counted) to 2027-03-01 (not counted) = 99 of the term's 365",
      "Subtotal: £150.00 × 50 × 99 / 365 = 2034.246575…, rounded £2,034.25",
      "Tax: £2,034.25 × 8.875 % = 180.539687…, rounded £180.54",
      "Due now: £2,034.25 + £180.54 = £2,214.79",
      "Renewal: from 2027-03-01 £150.00 × 75 = £11,250.00, + £998.44 tax = £12,248.44 a year",
    ]);
  });

  it.each([
    ["en-US", "£150.00 × 50 × 99 / 365 = 2,034.246575…, rounded £2,034.25", "£2,034.25 × 8.875 % = 180.539687…"],
    ["de-DE", "150,00 £ × 50 × 99 / 365 = 2.034,246575…, rounded 2.034,25 £", "2.034,25 £ × 8,875 % = 180,539687…"],
    ["fr-FR", "150,00 £ × 50 × 99 / 365 = 2 034,246575…, rounded 2 034,25 £", "2 034,25 £ × 8,875 % = 180,539687…"],
  ])("follows %s in every number for people", (locale, subtotal, tax) => {
    const [, first, second] = explanation(priced, plan, localized(locale));
    expect(first).toBe(`Subtotal: ${subtotal}`);
    expect(second).toContain(`Tax: ${tax}, `);
  });

  it("keeps every digit of a number that a float cannot hold", () => {
    const line = explanation(quote(1_000_000), { ...plan }, localized("en-US"))[1];
    expect(line).toContain("= 40,684,931.506849…, ");
  });
});
