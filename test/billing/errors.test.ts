import { expect, test } from "vitest";
import { dateInZone } from "../../src/billing/calendar.ts";
import { parseDecimal } from "../../src/billing/decimal.ts";
import { addMoney, money, parseMoney } from "../../src/billing/money.ts";
import { assertTransition } from "../../src/billing/purchase.ts";
import { type TermRule, termIndexOn } from "../../src/billing/term.ts";

const yearly: TermRule = { anchorDate: "2026-03-01", interval: "year", intervalCount: 1 };
const gbp = { amount: 1, currency: "GBP" };
const eur = { amount: 1, currency: "EUR" };

test.each([
  [() => money(2n ** 53n, "GBP"), "amount_out_of_range", "The amount 9007199254740992 GBP is too large to be charged"],
  [() => addMoney(gbp, eur), "invalid_amount", "Cannot add amounts in GBP and EUR"],
  [() => parseMoney("5,00", "GBP"), "invalid_amount", '"5,00" is not an amount in GBP, such as 500 or 500.00'],
  [() => parseMoney("5.5", "JPY"), "invalid_amount", '"5.5" is not an amount in JPY, such as 500'],
  [() => parseMoney("x", "KWD"), "invalid_amount", '"x" is not an amount in KWD, such as 500 or 500.000'],
  [() => parseDecimal("20%"), "invalid_rate", '"20%" is not a decimal number such as 20 or 8.875'],
  [() => dateInZone(0, "Mars/Base"), "invalid_date", 'Unknown time zone "Mars/Base": not in the IANA database'],
  [
    () => termIndexOn(yearly, "2026-02-28"),
    "invalid_date",
    "2026-02-28 is before 2026-03-01, the first day of the subscription",
  ],
  [
    () => assertTransition("fulfilled", "charging"),
    "invalid_state",
    "A purchase cannot move from fulfilled to charging",
  ],
])("%s fails with %s: %s", (fail, code, message) => {
  expect(fail).toThrow(expect.objectContaining({ name: "BillingError", code, message }));
});
