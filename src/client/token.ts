import { ClientError } from "./errors.ts";

/** The longest token that is sent and stored, in bytes: servers refuse longer headers. */
export const MAX_TOKEN_BYTES = 8192;

/**
 * Checks a token before it travels in a header. Its text is not shown.
 *
 * @throws ClientError `unauthenticated` for one with other than visible ASCII characters, or of more than 8 KB
 */
export function checkedToken(token: string): string {
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new ClientError("unauthenticated", "The token holds characters that no token has");
  }
  if (token.length <= MAX_TOKEN_BYTES) return token;
  throw new ClientError("unauthenticated", "The token is longer than 8 KB, so it was not sent");
}
