import { type Effect, PROBLEMS, type ProblemCode } from "../contract/problemCodes.ts";
import type { Problem } from "../contract/problems.ts";

/**
 * What may go wrong with a call, with its effect: the codes of the contract, those of signing in with a device code
 * (RFC 8628, section 3.5), and the client's own.
 *
 * - `unreachable`: no usable answer came, and where it was a purchase or another change it was certainly never sent
 * - `outcome_unknown`: a purchase or another change was sent, or a key was asked about, and no well-formed answer came
 * - `unexpected_answer`: the answer to a call that only reads or quotes, or signs in or out, makes no sense
 * - `billing_not_offered`: the backend has no billing calls
 * - `users_not_offered`: the backend adds and removes no users
 * - `sign_in_not_offered`: the backend has no such way to sign in
 * - `invalid_usage`: a URL that is not one of a backend
 * - `insecure_url`, `insecure_tls`: refused before anything was sent
 */
const EFFECTS = {
  authorization_pending: "refused",
  slow_down: "refused",
  access_denied: "refused",
  expired_token: "refused",
  unreachable: "open",
  outcome_unknown: "open",
  unexpected_answer: "open",
  billing_not_offered: "refused",
  users_not_offered: "refused",
  sign_in_not_offered: "refused",
  invalid_usage: "refused",
  insecure_url: "refused",
  insecure_tls: "refused",
} as const satisfies Record<string, Effect>;

/** A code of the contract or of the client. */
export type ClientErrorCode = ProblemCode | keyof typeof EFFECTS;

/** Returns what an error with this code says of the request that was sent. */
export function effectOf(code: ClientErrorCode): Effect {
  return code in PROBLEMS ? PROBLEMS[code as ProblemCode].effect : EFFECTS[code as keyof typeof EFFECTS];
}

/** Why the environment's proxy opens no tunnel to the backend. The message names the proxy and holds no password. */
export class ProxyError extends Error {
  override readonly name = "ProxyError";

  constructor(
    message: string,
    readonly hint: string,
    /** Whether another try would end the same way. */
    readonly isFinal: boolean,
    options?: { cause: unknown },
  ) {
    super(message, options);
  }
}

/** What is known about a failed call beside its code and message. */
export interface ClientErrorDetails {
  /** The next step for a person. */
  readonly hint?: string | undefined;
  /** The HTTP status, where an answer came. */
  readonly status?: number | undefined;
  /** The backend's name for the request. */
  readonly requestId?: string | undefined;
  /** The backend's own words, not cleaned of control characters. */
  readonly problem?: Problem | undefined;
  /** How long the backend asked to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A call that failed. `code` is stable; the message is for people and may hold a backend's raw text. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly hint: string | undefined;
  readonly status: number | undefined;
  readonly requestId: string | undefined;
  readonly problem: Problem | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly code: ClientErrorCode,
    message: string,
    details: ClientErrorDetails = {},
  ) {
    super(message, { cause: details.cause });
    this.hint = details.hint;
    this.status = details.status;
    this.requestId = details.requestId;
    this.problem = details.problem;
    this.retryAfterMs = details.retryAfterMs;
  }
}
