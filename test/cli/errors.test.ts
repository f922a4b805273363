import { describe, expect, it } from "vitest";
import { CliError, codeOf, EXIT_CODES, exitCodeOf, reportOf, usageError } from "../../src/cli/errors.ts";
import { PROBLEM_STATUS } from "../../src/contract/problems.ts";

/** cli.md, Exit codes, and details.md, 25, written once more by hand. */
const EXPECTED: Record<number, string[]> = {
  1: ["unexpected_answer", "billing_not_offered", "users_not_offered", "sign_in_not_offered"],
  2: [
    "invalid_usage",
    "invalid_request",
    "license_limit",
    "not_found",
    "idempotency_key_reused",
    "idempotency_key_missing",
    "insecure_url",
    "insecure_tls",
    "keyring_unavailable",
    "credentials_unsafe",
    "credentials_unreadable",
    "settings_unreadable",
    "journal_not_written",
    "journal_unreadable",
    "organization_required",
    "profile_unknown",
    "clock_moves_forward_only",
    "seed_invalid",
    "sandbox_data_in_use",
    "port_in_use",
  ],
  3: ["declined_by_person"],
  4: ["not_signed_in", "unauthenticated", "mfa_invalid", "mfa_required", "access_denied", "expired_token"],
  5: ["forbidden", "insufficient_scope", "spend_limit_exceeded"],
  6: ["payment_declined"],
  7: [
    "price_check_failed",
    "max_total_exceeded",
    "if_purchased_not_met",
    "below_minimum_charge",
    "subscription_not_purchasable",
    "too_few_available",
  ],
  8: ["approval_required"],
  9: [
    "quote_expired",
    "quote_used",
    "subscription_changed",
    "no_license_available",
    "not_payable",
    "not_cancelable",
    "idempotency_key_void",
  ],
  10: [
    "sign_in_busy",
    "idempotency_key_in_use",
    "rate_limited",
    "unavailable",
    "internal",
    "unreachable",
    "outcome_unknown",
    "purchase_unsettled",
  ],
  130: ["interrupted"],
};

describe("exit codes", () => {
  it.each(Object.entries(EXPECTED))("%s", (exitCode, codes) => {
    expect(codes.map((code) => EXIT_CODES[code as keyof typeof EXIT_CODES])).toEqual(codes.map(() => Number(exitCode)));
  });

  it("knows every code of the contract", () => {
    expect(Object.keys(EXIT_CODES)).toEqual(expect.arrayContaining(Object.keys(PROBLEM_STATUS)));
  });

  it("is 1 for whatever it does not know", () => {
    for (const thrown of [new TypeError("x"), Object.assign(new TypeError("x"), { code: "ENOENT" }), "text", null]) {
      expect(exitCodeOf(thrown)).toBe(1);
      expect(reportOf(thrown).code).toBe("defect");
    }
    expect(codeOf(Object.assign(new TypeError("x"), { code: "toString" }))).toBeNull();
  });

  it("recognizes a typed error by its shape, not by its class", () => {
    const more = { hint: "ask", requestId: "req_1", problems: [{ line: 2, message: "is wrong" }] };
    const twin = Object.assign(new RangeError("no"), { code: "forbidden", ...more });
    expect(reportOf(twin)).toEqual({ code: "forbidden", message: "no", exitCode: 5, ...more });
  });

  it("brings a hint of its own where the error has none", () => {
    expect(reportOf(new CliError("unauthenticated", "no")).hint).toContain("login");
    for (const code of ["forbidden", "mfa_required", "mfa_invalid", "spend_limit_exceeded"] as const) {
      expect(reportOf(new CliError(code, "no")).hint).toMatch(/sign in|code|token/i);
    }
    expect(reportOf(usageError("no")).hint).toBeNull();
  });
});
