import { expect, test } from "vitest";
import { parseAddress } from "../../src/client/address.ts";
import { targetOf } from "../../src/client/target.ts";
import { operations } from "../../src/contract/operations/index.ts";

const address = parseAddress("http://127.0.0.1:4010/rest/management/v2/");

test.each([
  ["plain", "plain"],
  ["a/b %?#", "a%2Fb%20%25%3F%23"],
  [".", "%2E"],
  ["..", "%2E%2E"],
  ["a.b", "a.b"],
])("the key %s is sent as %s", (idempotencyKey, encoded) => {
  const target = targetOf(operations.getPurchaseByKey, address, { organizationId: 7, idempotencyKey }, {});
  expect(target).toBe(`/rest/management/v2/organizations/7/purchases/by-key/${encoded}`);
});

test("a query omits missing values", () => {
  const query = { limit: 5, after: "a b&c", status: undefined };
  const target = targetOf(operations.listPurchases, address, { organizationId: 7 }, query);
  expect(target).toBe("/rest/management/v2/organizations/7/purchases?limit=5&after=a+b%26c");
});

test("calls at the root omit the base path", () => {
  expect(targetOf(operations.getSandbox, address, {}, {})).toBe("/sandbox");
});
