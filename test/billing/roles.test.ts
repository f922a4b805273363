import { expect, test } from "vitest";
import { isRole, mayBuy, roleName, takesLicense } from "../../src/billing/roles.ts";

test.each([
  [-1, "platform administrator", true],
  [0, "organization administrator", true],
  [1, "reviewer", false],
  [3, "team manager", false],
  [4, "statistics", false],
  [7, "user", false],
])("role %d is %s; may buy: %s", (role, name, buys) => {
  expect([isRole(role), roleName(role), mayBuy(role)]).toEqual([true, name, buys]);
});

test("an unknown role is shown by its number and may not buy", () => {
  expect([isRole(5), roleName(5), mayBuy(5)]).toEqual([false, "role 5", false]);
});

test.each([
  [0, true, false],
  [0, false, true],
  [3, true, false],
  [7, false, true],
  [7, true, true],
])("role %d with adminNoTraining %s takes a license: %s", (role, adminNoTraining, takes) => {
  expect(takesLicense({ role, adminNoTraining })).toBe(takes);
});
