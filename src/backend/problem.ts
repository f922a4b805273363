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
