import { expect, test } from "vitest";
import { canBuy, isAssignableRole, isRole, roleName, takesLicense, updatedTraining } from "../../src/billing/roles.ts";

test("an unknown role is shown by its number and cannot buy", () => {
  expect([isRole(2), roleName(2), canBuy(2), isAssignableRole(2)]).toEqual([false, "role 2", false, false]);
});

test.each([
  [0, true, false],
  [0, false, true],
  [3, true, false],
  [5, true, false],
  [6, true, false],
  [7, false, true],
  [7, true, true],
])("role %d with adminNoTraining %s takes a license: %s", (role, adminNoTraining, takes) => {
  expect(takesLicense({ role, adminNoTraining })).toBe(takes);
});

test.each([
  // A user who loses an administrative role trains, unless it is said otherwise.
  [{ role: 3, adminNoTraining: true }, { role: 7 }, { role: 7, adminNoTraining: false }],
  [
    { role: 3, adminNoTraining: true },
    { role: 7, adminNoTraining: true },
    { role: 7, adminNoTraining: true },
  ],
  [{ role: 3, adminNoTraining: true }, { role: 4 }, { role: 4, adminNoTraining: true }],
  [{ role: 3, adminNoTraining: true }, { adminNoTraining: false }, { role: 3, adminNoTraining: false }],
  [{ role: 3, adminNoTraining: false }, { adminNoTraining: true }, { role: 3, adminNoTraining: true }],
  [{ role: 7, adminNoTraining: true }, { role: 7 }, { role: 7, adminNoTraining: true }],
  [{ role: 7, adminNoTraining: false }, { role: 3 }, { role: 3, adminNoTraining: false }],
  [{ role: 4, adminNoTraining: false }, {}, { role: 4, adminNoTraining: false }],
])("%j changed by %j is %j", (before, changes, after) => {
  expect(updatedTraining(before, changes)).toEqual(after);
});
