import { afterAll, describe, test } from "vitest";
import { resultOf } from "../support/cli.ts";
import { removePlaces } from "../support/places.ts";
import { startSandbox } from "../support/sandbox.ts";
import { organization, type SeedChanges, seed } from "../support/seed.ts";

interface Quote {
  dueNow: { amount: number; currency: string };
  tax: { amount: number };
  total: { amount: number };
  term: { start: string; renewalDate: string; days: number; daysRemaining: number };
  licensesAfter: number;
  verified: boolean;
}

interface Figure {
  readonly subscription: NonNullable<SeedChanges["subscription"]>;
  readonly licenses: number;
  readonly term: Quote["term"];
  /** Due now, tax, total. */
  readonly charge: readonly [number, number, number];
}

afterAll(removePlaces);

const pounds = (amount: number) => ({ amount, currency: "GBP" });
const dollars = (amount: number) => ({ amount, currency: "USD" });
const yearly = { start: "2026-03-01", renewalDate: "2027-03-01", days: 365 };

/** The worked figures of src/billing/README.md, and more, by the instant at which they are quoted. */
const FIGURES: readonly [string, readonly Figure[]][] = [
  [
    "2026-02-14T12:00:00Z",
    [
      {
        subscription: { anchorDate: "2026-01-31", interval: "month", unitPrice: dollars(1999), taxRate: "0" },
        licenses: 7,
        term: { start: "2026-01-31", renewalDate: "2026-02-28", days: 28, daysRemaining: 14 },
        charge: [6997, 0, 6997],
      },
    ],
  ],
  [
    "2026-03-01T00:00:00Z",
    [
      { subscription: {}, licenses: 5, term: { ...yearly, daysRemaining: 365 }, charge: [75000, 15000, 90000] },
      {
        subscription: { anchorDate: "2026-01-31", interval: "month" },
        licenses: 1,
        term: { start: "2026-02-28", renewalDate: "2026-03-31", days: 31, daysRemaining: 30 },
        charge: [14516, 2903, 17419],
      },
    ],
  ],
  [
    "2026-11-22T23:10:00Z",
    [
      { subscription: {}, licenses: 5, term: { ...yearly, daysRemaining: 99 }, charge: [20342, 4068, 24410] },
      {
        subscription: { anchorDate: "2026-11-03", interval: "month", unitPrice: dollars(999), taxRate: "0" },
        licenses: 5,
        term: { start: "2026-11-03", renewalDate: "2026-12-03", days: 30, daysRemaining: 11 },
        charge: [1832, 0, 1832],
      },
      {
        subscription: { anchorDate: "2025-12-02", unitPrice: { amount: 118800, currency: "JPY" }, taxRate: "10" },
        licenses: 1000,
        term: { start: "2025-12-02", renewalDate: "2026-12-02", days: 365, daysRemaining: 10 },
        charge: [3254795, 325480, 3580275],
      },
      {
        subscription: { unitPrice: { amount: 45000, currency: "KWD" }, taxRate: "5" },
        licenses: 3,
        term: { ...yearly, daysRemaining: 99 },
        charge: [36616, 1831, 38447],
      },
    ],
  ],
  [
    "2026-12-01T12:00:00Z",
    [
      {
        subscription: { anchorDate: "2026-06-15", unitPrice: dollars(14999), taxRate: "10" },
        licenses: 10,
        term: { start: "2026-06-15", renewalDate: "2027-06-15", days: 365, daysRemaining: 196 },
        charge: [80543, 8054, 88597],
      },
    ],
  ],
  [
    "2027-02-28T23:20:00Z",
    [{ subscription: {}, licenses: 1, term: { ...yearly, daysRemaining: 1 }, charge: [41, 8, 49] }],
  ],
  [
    "2028-02-29T12:00:00Z",
    [
      {
        subscription: { unitPrice: dollars(15000), taxRate: "0" },
        licenses: 3,
        term: { start: "2027-03-01", renewalDate: "2028-03-01", days: 366, daysRemaining: 1 },
        charge: [123, 0, 123],
      },
      {
        subscription: { anchorDate: "2028-02-29" },
        licenses: 1,
        term: { start: "2028-02-29", renewalDate: "2029-02-28", days: 365, daysRemaining: 365 },
        charge: [15000, 3000, 18000],
      },
    ],
  ],
  [
    "2032-02-28T12:00:00Z",
    [
      {
        subscription: { anchorDate: "2028-02-29", unitPrice: pounds(36600) },
        licenses: 2,
        term: { start: "2031-02-28", renewalDate: "2032-02-29", days: 366, daysRemaining: 1 },
        charge: [200, 40, 240],
      },
    ],
  ],
];

describe("quotes to the minor unit, through the sandbox and the CLI", () => {
  test.concurrent.for(FIGURES)("on %s", async ([now, figures], { expect }) => {
    const organizations = figures.map(({ subscription }, index) => organization(index + 1, { subscription }));
    const sandbox = await startSandbox({ now, seed: seed(...organizations) });
    try {
      for (const [index, { subscription, licenses, term, charge }] of figures.entries()) {
        const run = await sandbox.cli(index + 1, ["quote", String(licenses), "--json"]);
        expect(run).toMatchObject({ exitCode: 0, stderr: "" });
        const quote = resultOf<Quote>(run);
        expect(quote.term).toEqual(term);
        expect([quote.dueNow.amount, quote.tax.amount, quote.total.amount]).toEqual(charge);
        expect(quote.dueNow.currency).toBe(subscription.unitPrice?.currency ?? "GBP");
        expect(quote).toMatchObject({ licensesAfter: 25 + licenses, verified: true });
      }
    } finally {
      await sandbox.stop();
    }
  });

  test.concurrent("the date is the billing zone's, on both sides of midnight", async ({ expect }) => {
    // 23:30 UTC on 22 November: already the 23rd in Auckland and Tokyo, still the 22nd in London and New York.
    const zones = [
      ["Europe/London", "2026-11-22", 99],
      ["America/New_York", "2026-11-22", 99],
      ["Asia/Tokyo", "2026-11-23", 98],
      ["Pacific/Auckland", "2026-11-23", 98],
    ] as const;
    const organizations = zones.map(([timeZone], index) => organization(index + 1, { timeZone }));
    const sandbox = await startSandbox({ now: "2026-11-22T23:30:00Z", seed: seed(...organizations) });
    try {
      for (const [index, [, purchaseDate, daysRemaining]] of zones.entries()) {
        const quote = resultOf(await sandbox.cli(index + 1, ["quote", "1", "--json"]));
        expect(quote).toMatchObject({ purchaseDate, term: { daysRemaining } });
      }
      const london = resultOf<{ expiresAt: string }>(await sandbox.cli(1, ["quote", "1", "--json"]));
      expect(Date.parse(london.expiresAt)).toBe(Date.parse("2026-11-23T00:00:00Z"));
    } finally {
      await sandbox.stop();
    }
  });
});
