import { PROBLEM_STATUS, type ProblemCode } from "../contract/problemCodes.ts";

/** A refusal, sent as `application/problem+json`; `extra` members are added to the standard ones. */
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

/** A sandbox cannot start or be reset; `hint` says what to do. */
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
