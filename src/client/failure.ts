import type { Operation } from "../contract/operations/operation.ts";
import type { Environment } from "./address.ts";
import { certificateFailure } from "./certificate.ts";
import { ClientError, type ClientErrorCode, type ClientErrorDetails, ProxyError } from "./errors.ts";
import type { Reading } from "./reading.ts";
import { isTransientStatus, parseRetryAfter } from "./retry.ts";
import type { WireAnswer, WireFailure } from "./transport.ts";

/** A try that did not succeed. */
export interface Failure {
  readonly error: ClientError;
  /** Whether another try may do better. */
  readonly transient: boolean;
  /** Whether the request may have reached the backend. */
  readonly sent: boolean;
  /** Whether the backend refused it in well-formed words of the contract, for good. */
  readonly refused: boolean;
}

const SANDBOX_HINT =
  "Try everything with `secureflag-licenses sandbox`. " +
  "SecureFlag's API lists users: `secureflag-licenses users list --org <id>`.";

const SIGN_IN_HINT =
  "Pipe an API token into `secureflag-licenses login --with-token`, or set SECUREFLAG_API_TOKEN. " +
  "Some backends take a password: `login --email <email>`.";

const RUN_AGAIN_HINT = "Check the connection and run the same command again; that is safe.";

/** Whether the outcome of a purchase is open after a lost answer. */
export function concernsKey(operation: Operation): boolean {
  return operation.path.includes("{idempotencyKey}") || operation.idempotent === true;
}

/** A request that got no whole answer. */
export function failureOfWire(failure: WireFailure, operation: Operation, origin: string, env: Environment): Failure {
  const { reason, cause, sent } = failure;
  const nonsense = reason === "too_large" && !concernsKey(operation);
  const { message, hint } = nonsense
    ? { message: wireMessage(failure, origin), hint: NONSENSE_HINT }
    : cause instanceof ProxyError
      ? cause
      : reason === "certificate"
        ? certificateFailure(cause, origin, env)
        : { message: wireMessage(failure, origin), hint: RUN_AGAIN_HINT };
  const error = new ClientError(nonsense ? "unexpected_answer" : "unreachable", message, { hint, cause });
  const isFinal = reason === "certificate" || reason === "closed" || (cause instanceof ProxyError && cause.isFinal);
  return { error, transient: !isFinal && !nonsense, sent, refused: false };
}

const NO_PDF = "This backend does not offer receipts as PDF";

const NO_PDF_HINT = "Omit --pdf to read the receipt here; --json has everything.";

const NONSENSE_HINT = "Check the API URL, and that no proxy changes responses.";

const GATE_HINT =
  "A proxy may have refused it: check the API URL and the proxy, then run `secureflag-licenses whoami`.";

function wireMessage({ reason, sent }: WireFailure, origin: string): string {
  if (reason === "timeout") return `Request to ${origin} timed out`;
  if (reason === "too_large") return `Unexpected response from ${origin}: it is larger than 1 MB`;
  return sent ? `The connection to ${origin} was lost` : `Cannot connect to ${origin}`;
}

/** An answer that is not the success that was asked for. */
export function failureOfReading(
  reading: Exclude<Reading, { kind: "success" }>,
  answer: WireAnswer,
  operation: Operation,
  origin: string,
): Failure {
  const { status, headers } = answer;
  const details = {
    status,
    requestId: headers["x-request-id"],
    retryAfterMs: parseRetryAfter(headers["retry-after"], headers.date) ?? undefined,
  };
  if (isSignIn(operation) && (status === 404 || reading.kind === "secureflag_error")) {
    return final(
      isUnauthorized(reading) && operation.path === LOGIN_PATH ? wrongPassword(details) : signInNotOffered(details),
    );
  }
  switch (reading.kind) {
    case "problem":
      return failureOfProblem(reading, operation, details);
    case "secureflag_error":
      return failureOfSecureFlag(reading.message, operation, details);
    case "oauth_error":
      return final(errorOfOauth(reading, details));
    case "other_form":
      return final(new ClientError("unexpected_answer", NO_PDF, { ...details, hint: NO_PDF_HINT }));
    case "nonsense":
      return failureOfNonsense(reading, operation, origin, details);
  }
}

function failureOfProblem(
  { code, problem }: Extract<Reading, { kind: "problem" }>,
  operation: Operation,
  details: AnswerDetails,
): Failure {
  const requestId = problem.requestId ?? details.requestId;
  const { purchaseId } = problem;
  const hint =
    code === "subscription_not_purchasable" && purchaseId !== undefined
      ? `Pay the renewal with \`secureflag-licenses purchases pay ${purchaseId}\`.`
      : undefined;
  const error = new ClientError(code, problem.detail, { ...details, requestId, problem, hint });
  const transient = isTransientStatus(details.status) || code === "idempotency_key_in_use";
  // Asked about a key, only one 404 speaks of that key; any other may come from a wrong place.
  const elsewhere = details.status === 404 && concernsKey(operation) && !operation.idempotent;
  const refused = !transient && (!elsewhere || code === "idempotency_key_unknown");
  return { error, transient, sent: true, refused };
}

function failureOfNonsense(
  { why, broken }: Extract<Reading, { kind: "nonsense" }>,
  operation: Operation,
  origin: string,
  details: AnswerDetails,
): Failure {
  const isMissing = details.status === 404;
  if (isMissing && operation.access.startsWith("billing:")) return final(notOffered(details));
  if (isMissing && operation.access === "users:write") return final(usersNotOffered(details));
  const refusal = concernsKey(operation) ? null : refusalOf(origin, details);
  if (refusal) return final(refusal);
  if (isTransientStatus(details.status)) {
    const message = `${origin} responded with HTTP status ${details.status}`;
    const error = new ClientError("unreachable", message, { ...details, hint: RUN_AGAIN_HINT });
    return { error, transient: true, sent: true, refused: false };
  }
  const message = `Unexpected response from ${origin}: it ${why}`;
  const error = new ClientError("unexpected_answer", message, { ...details, hint: NONSENSE_HINT });
  return { error, transient: concernsKey(operation) || broken, sent: true, refused: false };
}

/** A refusal that is not the backend's: a gateway's, or a page for browsers. */
function refusalOf(origin: string, details: AnswerDetails): ClientError | null {
  const { status } = details;
  const code = refusalCodeOf(status);
  if (code === null) return null;
  const message = `${origin} refused the request with HTTP status ${status}, without an error code`;
  return new ClientError(code, message, { ...details, ...(code === "forbidden" && { hint: GATE_HINT }) });
}

/** What a status alone says of a refusal. */
function refusalCodeOf(status: number): ClientErrorCode | null {
  if (status === 401) return "unauthenticated";
  return status === 403 ? "forbidden" : null;
}

/** A refusal in SecureFlag's own words, whatever the status: an unknown token is "unauthorized" on every call. */
function failureOfSecureFlag(message: string | null, operation: Operation, details: AnswerDetails): Failure {
  const sentence = `The backend reported an error${message === null ? " without a message" : `: ${message}`}`;
  const says = (code: ClientErrorCode) => new ClientError(code, sentence, details);
  if (isUnauthorized({ kind: "secureflag_error", message })) return final(says("unauthenticated"));
  if (operation.access.startsWith("billing:")) return final(notOffered(details));
  if (isTransientStatus(details.status)) {
    return { error: says("unavailable"), transient: true, sent: true, refused: false };
  }
  return final(says(refusalCodeOf(details.status) ?? "unexpected_answer"));
}

function isUnauthorized(reading: Reading): boolean {
  return reading.kind === "secureflag_error" && reading.message?.trim().toLowerCase() === "unauthorized";
}

/** The errors of RFC 6749, section 5.2, and RFC 8628, section 3.5, that say something to act on. */
const OAUTH_CODES: Readonly<Record<string, ClientErrorCode>> = {
  invalid_grant: "unauthenticated",
  authorization_pending: "authorization_pending",
  slow_down: "slow_down",
  access_denied: "access_denied",
  expired_token: "expired_token",
};

/** That this client, or this way to sign in, is not known there. */
const OAUTH_NOT_OFFERED: readonly string[] = ["invalid_client", "unauthorized_client", "unsupported_grant_type"];

function errorOfOauth(reading: Extract<Reading, { kind: "oauth_error" }>, details: AnswerDetails): ClientError {
  if (OAUTH_NOT_OFFERED.includes(reading.error)) return signInNotOffered(details);
  const message = reading.description ?? `The backend reported an error: ${reading.error}`;
  const code = Object.hasOwn(OAUTH_CODES, reading.error) ? OAUTH_CODES[reading.error] : null;
  const otherwise = isTransientStatus(details.status)
    ? "unavailable"
    : (refusalCodeOf(details.status) ?? "unexpected_answer");
  return new ClientError(code ?? otherwise, message, details);
}

/** Whether a call is part of signing in, which SecureFlag's own backend does in its portal. */
function isSignIn({ path }: Operation): boolean {
  return path.startsWith("/auth/") || path.startsWith("/oauth/");
}

const LOGIN_PATH = "/auth/login";

function wrongPassword(details: AnswerDetails): ClientError {
  const hint = "Nothing was stored. Check both, then try again.";
  return new ClientError("unauthenticated", "The email or password is incorrect", { ...details, hint });
}

function signInNotOffered(details: AnswerDetails): ClientError {
  const message = "This backend does not offer this way to sign in";
  return new ClientError("sign_in_not_offered", message, { ...details, hint: SIGN_IN_HINT });
}

function notOffered(details: AnswerDetails): ClientError {
  const message = "This backend does not sell licenses: it does not offer the billing calls";
  return new ClientError("billing_not_offered", message, { ...details, hint: SANDBOX_HINT });
}

function usersNotOffered(details: AnswerDetails): ClientError {
  const message = "This backend does not add or remove users";
  const hint = "Manage them in SecureFlag's portal. Try it without an account: `secureflag-licenses sandbox`.";
  return new ClientError("users_not_offered", message, { ...details, hint });
}

/** An answer that will not change by asking again. */
function final(error: ClientError): Failure {
  return { error, transient: false, sent: true, refused: false };
}

type AnswerDetails = Readonly<{ status: number }> & Pick<ClientErrorDetails, "requestId" | "retryAfterMs">;
