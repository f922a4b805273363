import type { ProblemCode } from "../contract/problemCodes.ts";

/** The codes of failures that arise in the CLI itself, beside those of the contract. */
type OwnCode =
  // the client
  | "unreachable"
  | "outcome_unknown"
  | "unexpected_answer"
  | "billing_not_offered"
  | "users_not_offered"
  | "insecure_url"
  | "insecure_tls"
  // signing in by browser (RFC 8628, section 3.5)
  | "authorization_pending"
  | "slow_down"
  | "access_denied"
  | "expired_token"
  | "sign_in_not_offered"
  | "sign_in_busy"
  // usage, configuration and files
  | "invalid_usage"
  | "organization_required"
  | "profile_unknown"
  | "settings_unreadable"
  | "keyring_unavailable"
  | "keyring_locked"
  | "credentials_unsafe"
  | "credentials_unreadable"
  | "journal_not_written"
  | "journal_unreadable"
  | "not_a_sandbox"
  | "seed_invalid"
  | "quote_file_invalid"
  | "users_file_invalid"
  | "sandbox_data_in_use"
  | "sandbox_data_unusable"
  | "sandbox_data_not_empty"
  | "sqlite_missing"
  | "port_in_use"
  // people and guards
  | "declined_by_person"
  | "interrupted"
  | "not_signed_in"
  | "price_check_failed"
  | "max_total_exceeded"
  | "max_licenses_exceeded"
  | "if_purchased_not_met"
  | "quote_file_outdated"
  | "too_few_available"
  // ends of a purchase
  | "approval_required"
  | "purchase_unsettled"
  | "charged_other_amount"
  | "result_not_printed"
  // this program
  | "output_not_written"
  | "file_exists"
  | "file_not_written"
  | "defect";

/** Every code that an error of the CLI may carry. */
export type ErrorCode = OwnCode | ProblemCode;

/** The one table from code to exit code (cli.md, Exit codes; details.md, 25). */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  unexpected_answer: 1,
  billing_not_offered: 1,
  users_not_offered: 1,
  sign_in_not_offered: 1,
  output_not_written: 1,
  defect: 1,

  invalid_usage: 2,
  invalid_request: 2,
  not_found: 2,
  license_limit: 2,
  idempotency_key_missing: 2,
  idempotency_key_reused: 2,
  clock_moves_forward_only: 2,
  insecure_url: 2,
  insecure_tls: 2,
  organization_required: 2,
  profile_unknown: 2,
  settings_unreadable: 2,
  keyring_unavailable: 2,
  keyring_locked: 2,
  credentials_unsafe: 2,
  credentials_unreadable: 2,
  journal_not_written: 2,
  journal_unreadable: 2,
  not_a_sandbox: 2,
  seed_invalid: 2,
  quote_file_invalid: 2,
  users_file_invalid: 2,
  sandbox_data_in_use: 2,
  sandbox_data_unusable: 2,
  sandbox_data_not_empty: 2,
  sqlite_missing: 2,
  port_in_use: 2,
  file_exists: 2,
  file_not_written: 2,
  font_missing: 2,

  declined_by_person: 3,

  not_signed_in: 4,
  unauthenticated: 4,
  mfa_invalid: 4,
  mfa_required: 4,
  authorization_pending: 4,
  slow_down: 4,
  access_denied: 4,
  expired_token: 4,

  forbidden: 5,
  insufficient_scope: 5,
  spend_limit_exceeded: 5,

  payment_declined: 6,

  price_check_failed: 7,
  max_total_exceeded: 7,
  max_licenses_exceeded: 7,
  if_purchased_not_met: 7,
  quote_file_outdated: 7,
  too_few_available: 7,
  below_minimum_charge: 7,
  subscription_not_purchasable: 7,

  approval_required: 8,

  quote_expired: 9,
  quote_used: 9,
  subscription_changed: 9,
  no_license_available: 9,
  not_payable: 9,
  not_cancelable: 9,
  idempotency_key_void: 9,

  unreachable: 10,
  sign_in_busy: 10,
  outcome_unknown: 10,
  charged_other_amount: 10,
  purchase_unsettled: 10,
  result_not_printed: 10,
  idempotency_key_unknown: 10,
  idempotency_key_in_use: 10,
  rate_limited: 10,
  unavailable: 10,
  internal: 10,

  interrupted: 130,
};

/** What is wrong with a file, and on which line of it as an editor counts. */
export interface LineProblem {
  readonly line: number;
  /** A sentence without its full stop, safe for a terminal. */
  readonly message: string;
}

/** What an error of the CLI may bring beside its code and sentence. */
export interface CliErrorDetails {
  /** The next step, one sentence. */
  readonly hint?: string | undefined;
  readonly requestId?: string | undefined;
  /** What is wrong with an input file, line by line. */
  readonly problems?: readonly LineProblem[] | undefined;
  readonly cause?: unknown;
}

/** A failure with a stable code, a sentence for people and the next step. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly hint: string | undefined;
  readonly requestId: string | undefined;
  readonly problems: readonly LineProblem[] | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    details: CliErrorDetails = {},
  ) {
    super(message, { cause: details.cause });
    this.hint = details.hint;
    this.requestId = details.requestId;
    this.problems = details.problems;
  }
}

/** A wrong argument, flag or setting: exit code 2. */
export function usageError(message: string, hint: string): CliError {
  return new CliError("invalid_usage", message, { hint });
}

/** What is told about a failure, and what `--json` prints of it on stderr. */
export interface ErrorReport {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
  readonly exitCode: number;
  readonly requestId: string | null;
  readonly problems: readonly LineProblem[];
}

/** The code of a typed error, recognized by its shape: a bundle may hold two copies of one class. */
export function codeOf(error: unknown): ErrorCode | null {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return typeof code === "string" && Object.hasOwn(EXIT_CODES, code) ? (code as ErrorCode) : null;
}

/** The exit code of any thrown thing; 1 for what no table knows. */
export function exitCodeOf(error: unknown): number {
  const code = codeOf(error);
  return code === null ? 1 : EXIT_CODES[code];
}

/**
 * The report of any thrown thing. An error without a code of ours is a defect, and says so.
 *
 * @param hasTokenSet whether SECUREFLAG_API_TOKEN is set, which is used before any sign-in
 */
export function reportOf(error: unknown, hasTokenSet = false): ErrorReport {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === null) {
    const hint = "This looks like a defect of secureflag-licenses. Run again with --verbose to see where it happened.";
    return { code: "defect", message, hint, exitCode: 1, requestId: null, problems: [] };
  }
  return {
    code,
    message,
    hint: textOf(error, "hint") ?? (hasTokenSet && code === "forbidden" ? UNSET_TOKEN : HINTS[code]) ?? null,
    exitCode: EXIT_CODES[code],
    requestId: textOf(error, "requestId"),
    problems: problemsOf(error),
  };
}

const SIGN_IN_AGAIN = "Sign in again with `secureflag-licenses login`.";

/** Signing in alone would change nothing. */
const UNSET_TOKEN = "Unset SECUREFLAG_API_TOKEN and sign in with `secureflag-licenses login`.";

/** The next step for errors that come without one of their own, as those of a backend do. */
const HINTS: Readonly<Record<ProblemCode, string> & Partial<Record<OwnCode, string>>> = {
  unexpected_answer: "Report this to whoever runs the backend.",
  output_not_written: "Check that the disk is not full and that stdout can be written.",
  invalid_request: "Correct what it names, then run the command again.",
  idempotency_key_missing: "Nothing was bought. Check that nothing on the way takes headers away.",
  idempotency_key_reused: "Choose another key; nothing was bought.",
  clock_moves_forward_only: "Go to a later instant, or begin anew with `secureflag-licenses sandbox reset`.",
  authorization_pending: SIGN_IN_AGAIN,
  slow_down: SIGN_IN_AGAIN,
  below_minimum_charge: "Nothing was bought. Buy more licenses at once, or after the renewal date.",
  payment_declined: "See `secureflag-licenses purchases list`.",
  no_license_available: "Buy what is missing with `secureflag-licenses buy <n>`, then run the command again.",
  not_payable: "Nothing was charged. See `secureflag-licenses purchases list`.",
  not_cancelable: "Only a purchase that waits for approval can be canceled.",
  idempotency_key_unknown: "Running the same command again is safe.",
  font_missing: "Without --pdf the receipt is shown, and --json has everything.",
  unauthenticated:
    "Sign in again with `secureflag-licenses login`, or set SECUREFLAG_API_TOKEN to a token that is valid.",
  forbidden: "Sign in as an organization administrator with `secureflag-licenses login`.",
  insufficient_scope:
    "Use a token that has the scope, or unset SECUREFLAG_API_TOKEN and run `secureflag-licenses login`.",
  not_found: "Check the id or number, and the organization: `secureflag-licenses organizations list`.",
  license_limit: "Buy fewer licenses.",
  subscription_not_purchasable: "See `secureflag-licenses status` and `secureflag-licenses purchases list`.",
  spend_limit_exceeded: "Buy fewer licenses, wait for the next month, or use a token with a higher limit.",
  mfa_invalid: "Give the next code that your authenticator app shows; each works once.",
  mfa_required: "Say the code of your authenticator app with --totp <code>.",
  quote_expired: "Run the command again for a new quote.",
  quote_used: "Look at `secureflag-licenses purchases list`, then decide again.",
  subscription_changed: "Look at `secureflag-licenses status`, then decide again.",
  idempotency_key_void: "Choose another key.",
  outcome_unknown: "Running the same command again is safe: nothing is ever bought twice.",
  unreachable: "Running the same command again is safe.",
  unavailable: "Running the same command again is safe.",
  internal: "Running the same command again is safe.",
  rate_limited: "Wait a moment; running the same command again is safe.",
  idempotency_key_in_use: "Running the same command again is safe.",
};

function problemsOf(error: unknown): readonly LineProblem[] {
  const problems = error instanceof Error && "problems" in error ? error.problems : null;
  return Array.isArray(problems) ? problems : [];
}

function textOf(error: unknown, field: "hint" | "requestId"): string | null {
  const value = error instanceof Error ? (error as unknown as Record<string, unknown>)[field] : null;
  return typeof value === "string" ? value : null;
}
