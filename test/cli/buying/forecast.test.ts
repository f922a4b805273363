import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Offer } from "../../../src/cli/buying/engine/offer.ts";
import { forecast, renderComparison, renderForecast } from "../../../src/cli/buying/priceChart.ts";
import { createStyle } from "../../../src/cli/kit/output.ts";
import { quote, subscription, verified } from "../support/builders.ts";

const offerOf = (licenses: number, change: Parameters<typeof subscription>[0] = {}): Offer => {
  const seen = subscription(change);
  return { subscription: seen, quote: verified(quote(licenses, {}, seen)) };
};

const ending = { autoRenew: false, licenses: null, subtotal: null, tax: null, total: null };

const view = (width: number) => ({ width, style: createStyle({ env: {}, isTerminal: false, color: false }) });

describe("forecast", () => {
  it("shows today's price, the price on the same day of each coming month, and the renewal", () => {
    const { prices, renewal } = forecast(offerOf(5));
    // £150.00 × 5 × days / 365, rounded; 20 % of that, rounded.
    expect(prices.map(({ date, daysRemaining, total }) => [date, daysRemaining, total.amount])).toEqual([
      ["2026-11-22", 99, 20_342 + 4068],
      ["2026-12-22", 69, 14_178 + 2836],
      ["2027-01-22", 38, 7808 + 1562],
      ["2027-02-22", 7, 1438 + 288],
    ]);
    expect(renewal).toMatchObject({ date: "2027-03-01", subtotal: { amount: 75_000 }, total: { amount: 90_000 } });
  });

  it("shows no renewal if the subscription does not renew", () => {
    expect(forecast(offerOf(5, { renewal: ending })).renewal).toBeNull();
  });

  it("shows at most twelve dates of a long term, today first, and never a higher price later", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 500 }), (daysRemaining, licenses) => {
        const renewalDate = new Date(Date.UTC(2026, 10, 22) + daysRemaining * 86_400_000).toISOString().slice(0, 10);
        const term = { start: "2026-01-01", renewalDate, days: daysRemaining + 325, daysRemaining };
        const { prices } = forecast(offerOf(licenses, { term }));
        expect(prices[0]?.date).toBe("2026-11-22");
        expect(prices.length).toBeLessThanOrEqual(12);
        const totals = prices.map(({ total }) => total.amount);
        expect(totals).toEqual([...totals].sort((one, other) => other - one));
      }),
    );
  });
});

describe("the charts", () => {
  it("show a comparison, with each bar in proportion to the highest price", () => {
    expect(renderComparison([offerOf(5), offerOf(10)], view(60)).split("\n")).toEqual([
      "Licenses  Renews at  Due now",
      `25 → 30   £5,400.00  £244.10  ${"█".repeat(15)}`,
      `25 → 35   £6,300.00  £488.22  ${"█".repeat(30)}`,
      "Amounts include 20% tax.",
    ]);
    expect(renderComparison([offerOf(5, { taxRate: "0" })], view(60))).not.toContain("tax");
  });

  it("show a forecast, followed by the renewal", () => {
    const offer = offerOf(5);
    const text = renderForecast(offer, forecast(offer), view(60));
    expect(text).toContain("5 licenses, with tax, at");
    expect(text).toContain("2026-12-22   69 days  £170.14");
    expect(text).toContain("2027-03-01    a year  £900.00");
    expect(text).toContain("From 2027-03-01 on they are part of the recurring total");
    const without = offerOf(5, { renewal: ending });
    expect(renderForecast(without, forecast(without), view(60))).toContain("ends on 2027-03-01, without renewal");
  });

  it("write one day in the singular", () => {
    const term = { start: "2026-03-01", renewalDate: "2026-11-23", days: 267, daysRemaining: 1 };
    const offer = offerOf(5, { term });
    const text = renderForecast(offer, forecast(offer), view(60));
    expect(text).toMatch(/2026-11-22 +1 day /);
    expect(text).not.toContain("1 days");
  });

  it.each([40, 60, 80])("fit %i columns, without bars if there is no room", (width) => {
    const charts = [
      renderComparison([offerOf(5), offerOf(10_000)], view(width)),
      renderForecast(offerOf(5), forecast(offerOf(5)), view(width)),
    ];
    for (const chart of charts) {
      for (const line of chart.split("\n")) expect(line.length, line).toBeLessThanOrEqual(width);
    }
    expect(charts[0]?.includes("█")).toBe(width > 40);
  });
});
