import { bugs } from "../../package.json";
import type { ClientErrorCode } from "../client/errors.ts";
import type { ProblemCode } from "../contract/problemCodes.ts";

/** What is known of an error by its code alone. */
interface ErrorRow {
  readonly exitCode: number;
  /** Whether the same command may succeed later, without anything being changed. */
  readonly isRetryable: boolean;
  readonly outcome: Outcome;
  /** The next step for an error that has no hint of its own, as those of a backend. */
  readonly hint: string | null;
}

type HintedRow = ErrorRow & { readonly hint: string };

function row<Hint extends string | null>(exitCode: number, again: Again, outcome: Outcome, hint: Hint) {
  return { exitCode, isRetryable: again === "later", outcome, hint };
}

type Again = "later" | "never";

/**
 * What came of the request: it was refused and nothing can come of it any more (`settled`), it was never sent
 * (`unsent`), or it may have been carried out (`open`).
 */
type Outcome = "settled" | "unsent" | "open";

const REPORT = `This looks like a bug. Run the command again with --verbose, and report the output at ${bugs.url}.`;
const LATER_OR_RESET = "Choose a later instant, or start over with `secureflag-licenses sandbox reset`.";
const RUN_AGAIN = "Running the same command again is safe.";
const SEE_PURCHASES = "See `secureflag-licenses purchases list`.";
const SIGN_IN = "Sign in again with `secureflag-licenses login`.";
const SIGN_IN_OR_SET_TOKEN =
  "Sign in again with `secureflag-licenses login`, or set SECUREFLAG_API_TOKEN to a valid token.";
const USE_SCOPE = "Use a token that has the scope, or unset SECUREFLAG_API_TOKEN and run `secureflag-licenses login`.";
const SPEND_LESS = "Buy fewer licenses, wait for the next month, or use a token with a higher limit.";
const LIMIT_TOKEN = "Create one with a limit: `secureflag-licenses tokens create --max-spend <amount/month>`.";
const CHECK_ID = "Check the ID or number, and the organization with `secureflag-licenses organizations list`.";
const TAMPERED = "Keep the file as it is, and compare it with a fresh `secureflag-licenses events export <file>`.";
const BUY_MISSING = "Buy the missing licenses with `secureflag-licenses buy <n>`, then run the command again.";

/**
 * Every error of the command line, in the order of their exit codes (src/cli/README.md, Exit codes). A code of the
 * contract needs a hint, because a backend sends none.
 */
export const ERRORS = {
  unexpected_answer: row(1, "never", "open", "Report this to the operator of the backend."),
  billing_not_offered: row(1, "never", "open", null),
  users_not_offered: row(1, "never", "open", null),
  sign_in_not_offered: row(1, "never", "open", null),
  output_not_written: row(1, "never", "open", "Check that stdout can be written and that the disk is not full."),
  reconciliation_differs: row(1, "never", "settled", null),
  defect: row(1, "never", "open", REPORT),

  invalid_usage: row(2, "never", "unsent", null),
  invalid_request: row(2, "never", "settled", "Correct the value and run the command again."),
  not_found: row(2, "never", "settled", CHECK_ID),
  license_limit: row(2, "never", "settled", "Buy fewer licenses."),
  idempotency_key_missing: row(2, "never", "settled", "Nothing was bought. Check that no proxy removes headers."),
  idempotency_key_reused: row(2, "never", "open", "Nothing was bought. Choose another key."),
  clock_moves_forward_only: row(2, "never", "settled", LATER_OR_RESET),
  insecure_url: row(2, "never", "unsent", null),
  insecure_tls: row(2, "never", "unsent", null),
  organization_required: row(2, "never", "unsent", null),
  profile_unknown: row(2, "never", "unsent", null),
  settings_unreadable: row(2, "never", "unsent", null),
  keyring_unavailable: row(2, "never", "unsent", null),
  keyring_locked: row(2, "never", "unsent", null),
  credentials_unsafe: row(2, "never", "unsent", null),
  credentials_unreadable: row(2, "never", "unsent", null),
  journal_not_written: row(2, "never", "unsent", null),
  journal_unreadable: row(2, "never", "unsent", null),
  not_a_sandbox: row(2, "never", "unsent", null),
  seed_invalid: row(2, "never", "unsent", null),
  quote_file_invalid: row(2, "never", "unsent", null),
  users_file_invalid: row(2, "never", "unsent", null),
  sandbox_data_in_use: row(2, "never", "unsent", null),
  sandbox_data_unusable: row(2, "never", "unsent", null),
  sandbox_data_not_empty: row(2, "never", "unsent", null),
  sqlite_missing: row(2, "never", "unsent", null),
  port_in_use: row(2, "never", "unsent", null),
  settings_invalid: row(2, "never", "unsent", null),
  schema_mismatch: row(2, "never", "unsent", null),
  organization_exists: row(2, "never", "settled", null),
  file_exists: row(2, "never", "unsent", null),
  file_not_written: row(2, "never", "unsent", null),
  file_not_read: row(2, "never", "unsent", "Check the path."),
  font_missing: row(2, "never", "settled", "Omit --pdf to read the receipt here; --json has everything."),

  declined_by_person: row(3, "never", "settled", null),

  not_signed_in: row(4, "never", "unsent", null),
  unauthenticated: row(4, "never", "settled", SIGN_IN_OR_SET_TOKEN),
  mfa_invalid: row(
    4,
    "never",
    "settled",
    "Enter the next code that your authenticator app shows; each code works once.",
  ),
  mfa_required: row(4, "never", "settled", "Pass the code of your authenticator app with --totp <code>."),
  authorization_pending: row(4, "later", "open", SIGN_IN),
  slow_down: row(4, "later", "open", SIGN_IN),
  access_denied: row(4, "never", "settled", null),
  expired_token: row(4, "never", "settled", null),

  forbidden: row(5, "never", "settled", "Sign in as an organization administrator with `secureflag-licenses login`."),
  insufficient_scope: row(5, "never", "settled", USE_SCOPE),
  spend_limit_exceeded: row(5, "never", "settled", SPEND_LESS),
  spending_limit_required: row(5, "never", "unsent", LIMIT_TOKEN),
  budget_exceeded: row(5, "never", "settled", "See `secureflag-licenses organizations policy`."),
  mfa_not_enrolled: row(5, "never", "settled", "Set up an authenticator app for this account, then sign in again."),

  payment_declined: row(6, "never", "open", SEE_PURCHASES),

  price_check_failed: row(7, "never", "unsent", null),
  max_total_exceeded: row(7, "never", "unsent", null),
  max_licenses_exceeded: row(7, "never", "unsent", null),
  if_purchased_not_met: row(7, "never", "unsent", null),
  quote_file_outdated: row(7, "never", "unsent", null),
  too_few_available: row(7, "never", "unsent", null),
  past_due: row(7, "never", "unsent", null),
  runway_too_short: row(7, "never", "unsent", null),
  idle_users: row(7, "never", "settled", null),
  too_many_removals: row(7, "never", "unsent", null),
  empty_file: row(7, "never", "unsent", null),
  events_tampered: row(7, "never", "unsent", TAMPERED),
  below_minimum_charge: row(
    7,
    "never",
    "settled",
    "Nothing was bought. Buy more licenses at once, or after the renewal date.",
  ),
  subscription_not_purchasable: row(
    7,
    "never",
    "settled",
    "See `secureflag-licenses status` and `secureflag-licenses purchases list`.",
  ),

  needs_two_administrators: row(
    7,
    "never",
    "settled",
    "Add another one first: `secureflag-licenses users update <email> --role administrator`.",
  ),

  approval_required: row(8, "never", "open", null),

  quote_expired: row(9, "never", "settled", "Run the command again for a new quote."),
  quote_used: row(9, "never", "open", "See `secureflag-licenses purchases list` before you buy again."),
  users_changed: row(9, "never", "settled", "Nothing was changed. Run the command again."),
  subscription_changed: row(9, "never", "settled", "See `secureflag-licenses status` before you try again."),
  no_license_available: row(9, "never", "settled", BUY_MISSING),
  not_payable: row(9, "never", "settled", "Nothing was charged. See `secureflag-licenses purchases list`."),
  not_cancelable: row(9, "never", "settled", "Only a purchase that waits for approval can be canceled."),
  not_approvable: row(9, "never", "settled", "See `secureflag-licenses purchases list`."),
  not_in_review: row(9, "never", "settled", null),
  not_resolvable: row(9, "never", "settled", null),
  idempotency_key_void: row(9, "never", "settled", "Choose another key."),

  unreachable: row(10, "later", "unsent", RUN_AGAIN),
  database_unreachable: row(10, "later", "unsent", null),
  database_busy: row(10, "later", "unsent", null),
  sign_in_busy: row(10, "later", "unsent", null),
  outcome_unknown: row(10, "later", "open", "Running the same command again is safe: it never buys twice."),
  charged_other_amount: row(10, "never", "open", null),
  purchase_unsettled: row(10, "later", "open", null),
  result_not_printed: row(10, "later", "open", null),
  idempotency_key_unknown: row(10, "later", "open", RUN_AGAIN),
  idempotency_key_in_use: row(10, "later", "open", RUN_AGAIN),
  rate_limited: row(10, "later", "open", "Wait a moment and run the same command again; that is safe."),
  unavailable: row(10, "later", "open", RUN_AGAIN),
  internal: row(10, "later", "open", RUN_AGAIN),

  interrupted: row(130, "never", "settled", null),
} satisfies Record<ProblemCode, HintedRow> & Record<ClientErrorCode, ErrorRow> & Record<string, ErrorRow>;

/** Every code that an error of the command line may carry. */
export type ErrorCode = keyof typeof ERRORS;

/** What is wrong with a file, and on which line of it as an editor counts. */
export interface LineProblem {
  readonly line: number;
  /** A sentence without its full stop, safe for a terminal. */
  readonly message: string;
}

/** What is known of an error beside its code and sentence. */
export interface CliErrorDetails {
  /** The next step, one sentence. */
  readonly hint?: string | undefined;
  readonly requestId?: string | undefined;
  /** What is wrong with an input file, line by line. */
  readonly problems?: readonly LineProblem[] | undefined;
  readonly cause?: unknown;
}

/** An error of the command line: a stable code and a sentence for people. */
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

/** What is reported about an error, and what `--json` prints of it on stderr. */
export interface ErrorReport {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
  readonly exitCode: number;
  readonly requestId: string | null;
  readonly problems: readonly LineProblem[];
}

/** The code of a typed error, recognized by its shape: a bundle may hold two copies of one class. */
export function codeOf(error: unknown): ErrorCode | null {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return typeof code === "string" && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : null;
}

/** The exit code of anything thrown; that of a defect if it has no code of ours. */
export function exitCodeOf(error: unknown): number {
  return ERRORS[codeOf(error) ?? "defect"].exitCode;
}

/**
 * Reports anything thrown. An error without a code of ours is a defect.
 *
 * @param tokenVariable the variable that has a token, which is used before any sign-in
 */
export function reportOf(error: unknown, tokenVariable: string | null = null): ErrorReport {
  const message = error instanceof Error ? error.message : String(error);
  const known = codeOf(error);
  const code = known ?? "defect";
  const { exitCode, hint } = ERRORS[code];
  if (known === null) return { code, message, hint, exitCode, requestId: null, problems: [] };
  return {
    code,
    message,
    hint: textOf(error, "hint") ?? (tokenVariable && code === "forbidden" ? unset(tokenVariable) : hint),
    exitCode,
    requestId: textOf(error, "requestId"),
    problems: problemsOf(error),
  };
}

/** Signing in alone would change nothing. */
function unset(variable: string): string {
  return `Unset ${variable} and sign in with \`secureflag-licenses login\`.`;
}

function problemsOf(error: unknown): readonly LineProblem[] {
  const problems = error instanceof Error && "problems" in error ? error.problems : null;
  return Array.isArray(problems) ? problems : [];
}

function textOf(error: unknown, field: "hint" | "requestId"): string | null {
  const value = error instanceof Error ? (error as unknown as Record<string, unknown>)[field] : null;
  return typeof value === "string" ? value : null;
}
