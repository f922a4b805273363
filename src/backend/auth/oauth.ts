import { CLIENT_ID, tokenRequestSchema } from "../../contract/identity.ts";
import type { ProblemError } from "../problem.ts";

/** The errors of RFC 6749, section 5.2, and RFC 8628, section 3.5, that the backend answers itself. */
type OauthCode =
  | "invalid_client"
  | "invalid_grant"
  | "authorization_pending"
  | "slow_down"
  | "access_denied"
  | "expired_token";

/** A refusal under `/oauth`, which travels as the RFCs' error object with status 400 (details.md, 16). */
export class OauthError extends Error {
  override readonly name = "OauthError";

  constructor(
    readonly code: OauthCode,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Refuses a client that nobody knows: only this package's command line asks for tokens.
 *
 * @throws OauthError `invalid_client`
 */
export function assertKnownClient(clientId: string): void {
  if (clientId !== CLIENT_ID) throw new OauthError("invalid_client", "This client is not known here");
}

/**
 * The RFCs' error object for what went wrong under `/oauth`.
 *
 * @param body of the request, as it was read
 */
export function oauthErrorBody(error: OauthError | ProblemError, body: unknown): Record<string, string> {
  const code = error instanceof OauthError ? error.code : oauthCode(error, body);
  return { error: code, error_description: describable(error.message) };
}

function oauthCode(problem: ProblemError, body: unknown): string {
  if (problem.status >= 500) return "server_error";
  if (problem.code === "unauthenticated") return "invalid_grant";
  const grant = (body as { grant_type?: unknown } | null | undefined)?.grant_type;
  const isKnown = tokenRequestSchema.options.some(({ shape }) => shape.grant_type.value === grant);
  return grant === undefined || isKnown ? "invalid_request" : "unsupported_grant_type";
}

/** RFC 6749, section 5.2, leaves `"`, `\` and what is beyond ASCII out of descriptions. */
function describable(message: string): string {
  return message.replaceAll('"', "'").replace(/[^\x20-\x5b\x5d-\x7e]/g, "?");
}
