import { PROBLEM_STATUS, type ProblemCode } from "../contract/problemCodes.ts";

/** A refusal that travels as `application/problem+json`. `extra` members stand beside the usual ones. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly status: number;

  constructor(
    readonly code: ProblemCode,
    message: string,
    readonly extra: Readonly<Record<string, unknown>> = {},
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = PROBLEM_STATUS[code];
  }
}

/** Why a sandbox cannot start or be reset; `hint` says what to do. All of them are wrong usage (exit 2). */
export class SandboxError extends Error {
  override readonly name = "SandboxError";

  constructor(
    readonly code:
      | "seed_invalid"
      | "sandbox_data_in_use"
      | "sandbox_data_unusable"
      | "sandbox_data_not_empty"
      | "sqlite_missing"
      | "port_in_use",
    message: string,
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
