import { expect, test } from "vitest";
import { PROBLEM_STATUS } from "../../src/contract/problemCodes.ts";
import { problemSchema } from "../../src/contract/problems.ts";

test("every code of contract.md and details.md with its status", () => {
  expect(PROBLEM_STATUS).toEqual({
    invalid_request: 400,
    idempotency_key_missing: 400,
    unauthenticated: 401,
    mfa_invalid: 401,
    mfa_required: 401,
    payment_declined: 402,
    forbidden: 403,
    insufficient_scope: 403,
    spend_limit_exceeded: 403,
    not_found: 404,
    idempotency_key_unknown: 404,
    font_missing: 406,
    quote_expired: 409,
    quote_used: 409,
    subscription_changed: 409,
    subscription_not_purchasable: 409,
    license_limit: 409,
    below_minimum_charge: 409,
    no_license_available: 409,
    not_payable: 409,
    not_cancelable: 409,
    idempotency_key_void: 409,
    idempotency_key_in_use: 409,
    clock_moves_forward_only: 409,
    idempotency_key_reused: 422,
    rate_limited: 429,
    internal: 500,
    unavailable: 503,
  });
});

test.each([
  [{ code: "not_found", detail: "No such purchase." }, true],
  [{ code: "a_code_of_tomorrow", detail: "Something new.", more: 1 }, true],
  [{ code: "no_license_available", detail: "Too few.", missing: 3 }, true],
  [{ code: "no_license_available", detail: "Too few.", needed: 5, missing: 3 }, true],
  [{ code: "no_license_available", detail: "Too few.", needed: 0, missing: 3 }, false],
  [{ code: "no_license_available", detail: "Too few.", missing: 0 }, false],
  [{ result: null, error: true, errorMsg: "unauthorized" }, false],
  [{ code: "not_found" }, false],
  [{ code: 404, detail: "No" }, false],
  ["<html>", false],
])("%j is a problem: %s", (body, isProblem) => {
  expect(problemSchema.safeParse(body).success).toBe(isProblem);
});
