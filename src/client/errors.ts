import type { ProblemCode } from "../contract/problemCodes.ts";
import type { Problem } from "../contract/problems.ts";

/**
 * What went wrong with a call: a code of the contract, or one of the client's own.
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
export type ClientErrorCode =
  | ProblemCode
  | OauthCode
  | "unreachable"
  | "outcome_unknown"
  | "unexpected_answer"
  | "billing_not_offered"
  | "users_not_offered"
  | "sign_in_not_offered"
  | "invalid_usage"
  | "insecure_url"
  | "insecure_tls";

/** Why a device code gives no tokens (yet), RFC 8628, section 3.5. */
type OauthCode = "authorization_pending" | "slow_down" | "access_denied" | "expired_token";

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
