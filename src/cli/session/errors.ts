/**
 * Why something that the CLI keeps on this machine cannot be used. All of them are exit code 2.
 *
 * - `keyring_unavailable`: there is no keyring, and nobody allowed a file
 * - `credentials_unsafe`: a file that others could have read or put there
 * - `credentials_unreadable`, `settings_unreadable`: cannot be read or written, or is not what this tool writes
 */
export type SessionErrorCode =
  | "keyring_unavailable"
  | "credentials_unsafe"
  | "credentials_unreadable"
  | "settings_unreadable";

/** A file or keyring of the CLI that fails. `code` is stable, `hint` is the next step. */
export class SessionError extends Error {
  override readonly name = "SessionError";

  constructor(
    readonly code: SessionErrorCode,
    message: string,
    readonly hint: string,
    options?: { cause: unknown },
  ) {
    super(message, options);
  }
}
