import { PROBLEMS, type ProblemCode } from "../contract/problemCodes.ts";

/** Why a backend cannot start or be reset. */
type StartCode =
  | "seed_invalid"
  | "sandbox_data_in_use"
  | "sandbox_data_unusable"
  | "sandbox_data_not_empty"
  | "sqlite_missing"
  | "port_in_use"
  | "settings_invalid"
  | "schema_mismatch"
  | "database_unreachable"
  | "database_busy"
  | "organization_exists"
  | "not_in_review"
  | "not_resolvable";

/**
 * A refusal, sent as `application/problem+json`, where `extra` members are added to the standard ones; or why the
 * backend cannot start, with a `hint` that says what to do.
 */
export class BackendError extends Error {
  override readonly name = "BackendError";

  constructor(
    readonly code: ProblemCode | StartCode,
    message: string,
    readonly extra: Readonly<Record<string, unknown>> = {},
    readonly headers: Readonly<Record<string, string>> = {},
    readonly hint: string | null = null,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  get status(): number {
    return this.code in PROBLEMS ? PROBLEMS[this.code as ProblemCode].status : PROBLEMS.internal.status;
  }
}

/** Describes an error for a log, with its stack. */
export function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Creates the error of a backend that cannot start or be reset; `hint` says what to do. */
export function startError(code: StartCode, message: string, hint: string, options?: ErrorOptions): BackendError {
  return new BackendError(code, message, {}, {}, hint, options);
}
