import stringWidth from "string-width";
import { describe, expect, it } from "vitest";
import { renderTokens } from "../../../src/cli/account/tokenView.ts";
import { createStyle, type View } from "../../../src/cli/kit/output.ts";
import { renderPurchases } from "../../../src/cli/purchases/list.ts";
import { renderUsers } from "../../../src/cli/users/view.ts";
import type { ApiToken } from "../../../src/contract/identity.ts";
import { failedPurchase, openPurchase, purchase, user } from "../support/builders.ts";

const view = (width: number): View => ({ width, style: createStyle({ env: {}, isTerminal: false, color: false }) });

const OFF = view(Number.POSITIVE_INFINITY);

const LONG = "a.very.long.name@a.very.long.company.name.example";

const id = (digit: string) => `pur_${digit.repeat(24)}`;

const PURCHASES = [
  openPurchase("requires_approval", { id: id("a"), purchasedBy: { email: LONG, token: "deploy" } }),
  purchase({ id: id("b"), licenses: 3, total: { amount: 123_456_789, currency: "GBP" } }),
  failedPurchase({ id: id("c") }),
  purchase({ id: id("d"), kind: "renewal", licenses: 25, purchasedBy: null }),
];

const USERS = [
  user({ email: LONG, firstName: "山田", lastName: "太郎" }),
  user({ role: 0, adminNoTraining: true, firstName: "Ada", lastName: "Lovelace of the Analytical Engine" }),
];

const TOKEN: ApiToken = {
  id: "tok_0123456789abcdef01234567",
  name: "deploy",
  scopes: ["billing:read", "billing:purchase", "users:read"],
  createdAt: null,
  expiresAt: "2027-02-20T10:00:00Z",
  expiresIn: 1,
  last4: "aaaa",
  spendLimit: null,
  createdBy: { email: LONG },
};

const TOKENS = [TOKEN, { ...TOKEN, name: "b", expiresAt: null, scopes: ["users:read"] }];

const LISTS: readonly [name: string, count: number, render: (seen: View) => string][] = [
  ["purchases", PURCHASES.length, (seen) => renderPurchases(PURCHASES, "UTC", seen)],
  ["users", USERS.length, (seen) => renderUsers(USERS, seen)],
  ["tokens", TOKENS.length, (seen) => renderTokens(TOKENS, seen)],
];

describe.each(LISTS)("the list of %s", (_name, count, render) => {
  it.each([80, 90, 100])("has a header and a row for each on %d columns, all aligned", (width) => {
    const [table = ""] = render(view(width)).split("\n\n");
    const [heads = "", ...rows] = table.split("\n");
    expect(rows).toHaveLength(count);
    for (const row of rows) expect(stringWidth(row)).toBeLessThanOrEqual(width);
    // The last column is never cut and starts at one place, whatever the characters before it take.
    const last = heads.split(/ {2,}/).at(-1) ?? "";
    const start = stringWidth(heads.slice(0, heads.lastIndexOf(last)));
    for (const row of rows) expect(stringWidth(row.slice(0, row.lastIndexOf("  ") + 2))).toBe(start);
  });

  it("uses the full width of a wide terminal", () => {
    const [table = ""] = render({ ...view(100), columns: 240 }).split("\n\n");
    expect(table).toContain(LONG);
    expect(table).not.toContain("…");
  });

  it("is wrapped and complete below 80 columns", () => {
    for (const width of [60, 79]) {
      const text = render(view(width));
      expect(text).not.toContain("…");
      expect(text.split("\n").filter((line) => stringWidth(line) > width)).toEqual([]);
    }
  });

  it("is one tab-separated line per record off a terminal, complete and without headers", () => {
    const rows = render(OFF).split("\n");
    expect(rows).toHaveLength(count);
    expect(new Set(rows.map((row) => row.split("\t").length)).size).toBe(1);
    expect(render(OFF)).toContain(LONG);
    expect(render(OFF)).not.toContain("…");
  });
});

it("user names are complete beside a long email, and the list ends with a count", () => {
  const users = [user({ firstName: "Bartholomew", lastName: "Higgins", email: LONG.repeat(2) }), user()];
  const text = renderUsers(users, view(80));
  expect(text).toMatch(/\nBartholomew Higgins {2}/);
  expect(text).toMatch(/\n\nTotal: 2 users\.$/);
  expect(renderUsers(users, view(80), true)).toMatch(/\n\nTotal: 2 users shown\.$/);
});

describe("the list of purchases", () => {
  it("shows IDs that can be copied: short on a terminal, complete elsewhere", () => {
    expect(renderPurchases(PURCHASES, "UTC", view(80))).toMatch(/ {2}pur_bbbbbbbb\n/);
    expect(renderPurchases(PURCHASES, "UTC", OFF).split("\n")[1]).toBe(
      ["2026-11-22", "3", "£1,234,567.89", "succeeded", "admin@northwind.example", id("b"), ""].join("\t"),
    );
  });

  it("ends with the totals of successful purchases: licenses and charges, per currency", () => {
    const euros = purchase({ total: { amount: 1_000, currency: "EUR" } });
    expect(renderPurchases([...PURCHASES, euros], "UTC", view(80))).toContain(
      "\n\nTotal: 8 licenses bought, 25 licenses renewed, £1,235,788.43 and €10.00 charged.\n",
    );
    expect(renderPurchases([failedPurchase()], "UTC", view(80))).toContain(
      "Total: 0 licenses bought, nothing charged.",
    );
    const much = purchase({ total: { amount: Number.MAX_SAFE_INTEGER, currency: "GBP" } });
    expect(renderPurchases([much, much], "UTC", view(80))).toContain("an unknown amount in GBP charged.");
  });

  it("shows the deadline of each payable purchase", () => {
    expect(renderPurchases(PURCHASES, "UTC", OFF)).toContain(`\t${id("a")}\tpay by 2026-11-23 10:00 UTC\n`);
    expect(renderPurchases(PURCHASES, "UTC", view(80))).toContain("\npur_aaaaaaaa: pay by 2026-11-23 10:00 UTC.\n");
  });
});
