import { describe, expect, test } from "vitest";
import { addDays, dateInZone, type Interval, startOfDateInZone } from "../../src/billing/calendar.ts";
import { divideRounded } from "../../src/billing/decimal.ts";
import { formatMoney, type Money, parseMoney, toDecimalString } from "../../src/billing/money.ts";
import { type Charge, maxChargeStep, prorate, recurringCharge } from "../../src/billing/proration.ts";
import {
  ADVANCED_STATES,
  APPROVAL_WINDOW_MS,
  assertTransition,
  CHECKED_STATES,
  needsApproval,
  PENDING_STATES,
  type PurchaseState,
  type PurchaseStatus,
  paymentDeadline,
  statesOf,
  statusOf,
} from "../../src/billing/purchase.ts";
import {
  DEFAULT_LICENSE_LIMIT,
  licensesAtRenewal,
  minLicensesFor,
  priceLicenses,
  quoteExpiry,
} from "../../src/billing/quote.ts";
import {
  DEFAULT_GRACE_DAYS,
  gracePeriodEnd,
  nextRetryAt,
  renewalDueAt,
  renewalReminder,
} from "../../src/billing/renewal.ts";
import { RUNWAY_BASIS_DAYS, runwayOf, unusedLicenses } from "../../src/billing/report.ts";
import { canBuy, isAssignableRole, isRole, roleName, takesLicense } from "../../src/billing/roles.ts";
import { termAt, termIndexOn } from "../../src/billing/term.ts";
import { type Row, readSections, rowsOf } from "../support/page.ts";

const sections = await readSections("src/billing/README.md");
/** Returns the text of a section in one line. */
const textOf = (heading: string) => (sections.get(heading) ?? "").replaceAll(/\s+/g, " ");
const tableOf = (heading: string, firstColumn: string) => rowsOf(sections, heading, firstColumn);

const SYMBOLS: Readonly<Record<string, string>> = { "£": "GBP", US$: "USD", "JP¥": "JPY" };

/** Parses `£244.10` or `KWD 1.250`. */
function amountIn(text: string): Money {
  const [, sign = "", digits = ""] = /^(\D+?) ?([\d.,]+)$/.exec(text) ?? [];
  return parseMoney(digits.replaceAll(",", ""), SYMBOLS[sign] ?? sign);
}

/** Parses `99/365`. */
function daysIn(text: string): { remainingDays: number; termDays: number } {
  const [remainingDays = 0, termDays = 0] = text.split("/").map(Number);
  return { remainingDays, termDays };
}

const instantIn = (text: string) => Date.parse(text);
const instant = (time: number) => new Date(time).toISOString().replace(".000Z", "Z");
const yesOrNo = (value: boolean) => (value ? "yes" : "no");

function expectCharge(row: Row, { subtotal, tax, total }: Charge, first = "Due now"): void {
  expect([first, "Tax", "Total"].map(row)).toEqual([subtotal, tax, total].map((amount) => formatMoney(amount)));
}

describe("Money", () => {
  test.each(tableOf("Money", "Currency"))("%s", (_, row) => {
    const money = { amount: Number(row("Amount")), currency: row("Currency") };
    expect(toDecimalString(money)).toBe(row("Decimal"));
    expect(formatMoney(money)).toBe(row("Displayed"));
  });
});

describe("Terms", () => {
  test.each(tableOf("Terms", "Instant"))("%s", (_, row) => {
    const date = dateInZone(instantIn(row("Instant")), row("Time zone"));
    expect(date).toBe(row("Date"));
    expect(instant(startOfDateInZone(date, row("Time zone")))).toBe(row("Starts at"));
  });

  test.each(tableOf("Terms", "Anchor date"))("%s", (_, row) => {
    const [, count = "", interval] = /^(\d+) (month|year)s?$/.exec(row("Interval")) ?? [];
    const rule = {
      anchorDate: row("Anchor date"),
      interval: interval as Interval,
      intervalCount: Number(count),
    };
    const boundaries = row("Boundaries").split(", ");
    expect(boundaries.map((_boundary, index) => termAt(rule, index).renewalDate)).toEqual(boundaries);
    expect(boundaries.map((boundary) => termIndexOn(rule, boundary))).toEqual(
      boundaries.map((_day, index) => index + 1),
    );
    expect(boundaries.map((boundary) => termIndexOn(rule, addDays(boundary, -1)))).toEqual([...boundaries.keys()]);
  });
});

describe("Proration", () => {
  test.each(tableOf("Proration", "Unit price"))("%s", (_, row) => {
    const [start = "", renewalDate = ""] = row("Term").split(" → ");
    const subscription = {
      unitPrice: amountIn(row("Unit price")),
      taxRate: row("Tax rate"),
      term: { start, renewalDate },
      purchased: 25,
      used: 22,
      reduction: null,
      autoRenew: false,
    };
    const price = priceLicenses(subscription, Number(row("Licenses")), row("Purchase date"));
    expect(`${price.term.daysRemaining}/${price.term.days}`).toBe(row("Days"));
    expectCharge(row, { subtotal: price.dueNow, tax: price.tax, total: price.total });
  });
});

describe("Rounding", () => {
  test.each(tableOf("Rounding", "Fraction"))("%s", (_, row) => {
    const [product = "", divisor = ""] = row("Fraction").split(" / ");
    const numerator = product.split(" × ").reduce((result, factor) => result * BigInt(factor), 1n);
    expect(divideRounded(numerator, BigInt(divisor))).toBe(BigInt(row("Rounded")));
  });

  test("a float gets the first one wrong", () => {
    expect(textOf("Rounding")).toContain(`\`999 * 5 * (11 / 30)\` is ${999 * 5 * (11 / 30)}`);
  });

  test.each(tableOf("Rounding", "Unit price"))("%s", (_, row) => {
    const unitPrice = amountIn(row("Unit price"));
    const chargeStep = maxChargeStep(unitPrice.currency);
    expect(chargeStep).toBe(Number(row("Step")));
    expectCharge(
      row,
      prorate({ unitPrice, licenses: 1, taxRate: row("Tax rate"), chargeStep, ...daysIn(row("Days")) }),
    );
  });
});

describe("Quotes", () => {
  test("the license limit", () => {
    expect(textOf("Quotes")).toContain(`for 1 to ${DEFAULT_LICENSE_LIMIT.toLocaleString("en-US")} licenses`);
  });

  test.each(tableOf("Quotes", "Created at"))("%s", (_, row) => {
    const createdAt = instantIn(row("Created at"));
    const purchaseDate = dateInZone(createdAt, row("Time zone"));
    expect(instant(quoteExpiry(createdAt, purchaseDate, row("Time zone")))).toBe(row("Expires at"));
  });

  test.each(tableOf("Quotes", "Unit price"))("%s", (_, row) => {
    const line = { unitPrice: amountIn(row("Unit price")), taxRate: row("Tax rate"), ...daysIn(row("Days")) };
    const totalOf = (licenses: number) => prorate({ ...line, licenses }).total;
    const { amount: minimum } = amountIn(row("Minimum"));
    const fewest = minLicensesFor(minimum, DEFAULT_LICENSE_LIMIT, (licenses) => totalOf(licenses).amount);
    expect(formatMoney(totalOf(1))).toBe(row("Total of 1"));
    expect(fewest).toBe(Number(row("Fewest licenses")));
  });
});

describe("Renewal", () => {
  test.each(tableOf("Renewal", "Unit price"))("%s", (_, row) => {
    const line = {
      unitPrice: amountIn(row("Unit price")),
      licenses: Number(row("Licenses")),
      taxRate: row("Tax rate"),
    };
    expectCharge(row, recurringCharge(line), "Subtotal");
  });

  test("the grace period", () => {
    expect(textOf("Renewal")).toContain(`a grace period of ${DEFAULT_GRACE_DAYS} days`);
  });

  test.each(tableOf("Renewal", "Renewal date"))("%s", (_, row) => {
    const renewalDate = row("Renewal date");
    const timeZone = row("Time zone");
    const due = renewalDueAt({ anchorDate: renewalDate, interval: "year", intervalCount: 1 }, -1, timeZone);
    const retries: number[] = [];
    for (let retry = nextRetryAt(due, due, timeZone); retry !== null; retry = nextRetryAt(due, retry, timeZone)) {
      retries.push(retry);
    }
    expect(instant(due)).toBe(row("Due at"));
    expect(retries.map(instant).join(", ")).toBe(row("Retried at"));
    expect(instant(gracePeriodEnd(renewalDate, DEFAULT_GRACE_DAYS, timeZone))).toBe(row("Grace period ends"));
  });
});

describe("Reminders", () => {
  test.each(tableOf("Reminders", "Renewal date"))("%s", (_, row) => {
    const renewalDate = row("Renewal date");
    const timeZone = row("Time zone");
    const end = startOfDateInZone(renewalDate, timeZone);
    const at: number[] = [];
    for (let now = 0; now < end; ) {
      now = renewalReminder(renewalDate, timeZone, { since: now, now }).nextAt;
      if (now < end) at.push(now);
    }
    expect(at.map(instant).join(", ")).toBe(row("Reminders"));
  });
});

describe("Reductions", () => {
  test.each(tableOf("Reductions", "Purchased"))("%s", (_, row) => {
    const reduction = row("Reduction") === "none" ? null : Number(row("Reduction"));
    const licenses = { purchased: Number(row("Purchased")), used: Number(row("Used")), reduction };
    expect(licensesAtRenewal(licenses, Number(row("Bought before the renewal")))).toBe(
      Number(row("Licenses of the next term")),
    );
  });
});

describe("Report", () => {
  test("the days that a runway is measured on", () => {
    expect(textOf("Report")).toContain(`the pace of the last ${RUNWAY_BASIS_DAYS} days`);
  });

  test.each(tableOf("Report", "Available"))("%s available", (_, row) => {
    const runway = runwayOf(Number(row("Available")), Number(row("Added in 90 days")));
    expect(String(runway?.usersPerDay ?? "none")).toBe(row("Users per day"));
    expect(String(runway?.days ?? "none")).toBe(row("Days"));
  });

  test.each(tableOf("Report", "Unit price"))("unused at %s", (_, row) => {
    const unused = unusedLicenses(
      {
        unitPrice: amountIn(row("Unit price")),
        taxRate: row("Tax rate"),
        purchased: Number(row("Purchased")),
        used: Number(row("Used")),
        reduction: row("Reduction") === "none" ? null : Number(row("Reduction")),
        autoRenew: true,
      },
      1,
    );
    expect(String(unused?.licenses)).toBe(row("Unused"));
    expect(unused && formatMoney(unused.renewalTotal)).toBe(row("Added to the renewal"));
  });
});

describe("Purchase states", () => {
  const rows = tableOf("Purchase states", "State").map(([, row]) => row);
  const states = rows.map((row) => row("State") as PurchaseState);
  const statesWith = (column: string, value: string) =>
    rows.filter((row) => row(column) === value).map((row) => row("State"));

  function isAllowed(from: PurchaseState, to: PurchaseState): boolean {
    try {
      assertTransition(from, to);
      return true;
    } catch {
      return false;
    }
  }

  test.each(tableOf("Purchase states", "State"))("%s", (_, row) => {
    const state = row("State") as PurchaseState;
    const next = row("Next") === "none" ? [] : row("Next").split(", ");
    expect(statusOf(state)).toBe(row("Status"));
    expect(states.filter((to) => isAllowed(state, to)).sort()).toEqual(next.sort());
  });

  test("has every state", () => {
    const statuses: PurchaseStatus[] = ["processing", "requires_approval", "succeeded", "failed", "needs_review"];
    expect(statuses.flatMap(statesOf).sort()).toEqual([...states].sort());
    for (const status of statuses) expect(statesOf(status)).toEqual(statesWith("Status", status));
  });

  test("pending, active and watched states", () => {
    expect(PENDING_STATES).toEqual(statesWith("Pending", "yes"));
    expect([...ADVANCED_STATES].sort()).toEqual(statesWith("Worker", "advances").sort());
    expect(CHECKED_STATES).toEqual(statesWith("Worker", "checks"));
  });

  test.each(tableOf("Purchase states", "Accepted at"))("%s", (_, row) => {
    const until = paymentDeadline(instantIn(row("Accepted at")), row("Renewal date"), row("Time zone"));
    expect(instant(until)).toBe(row("Payable until"));
  });
});

describe("Approval", () => {
  test.each(tableOf("Approval", "Threshold"))("%s", (_, row) => {
    const threshold = row("Threshold") === "none" ? null : Number(row("Threshold"));
    const needs = needsApproval(threshold, Number(row("Total")), Number(row("Others")));
    expect(yesOrNo(needs)).toBe(row("Needs approval"));
  });

  test("counts the purchases of the hours that the text says", () => {
    expect(textOf("Approval")).toContain(`of the last ${APPROVAL_WINDOW_MS / 3_600_000} hours`);
  });
});

describe("Roles", () => {
  test.each(tableOf("Roles", "Role"))("%s", (_, row) => {
    const role = Number(row("Role"));
    expect(isRole(role)).toBe(true);
    expect(roleName(role)).toBe(row("Name"));
    expect(yesOrNo(canBuy(role))).toBe(row("Can buy"));
    expect(yesOrNo(isAssignableRole(role))).toBe(row("Can be given"));
    expect(yesOrNo(takesLicense({ role, adminNoTraining: true }))).toBe(row("License without training"));
  });
});
