/**
 * Why something that the CLI keeps on this machine cannot be used. All but `unexpected_answer` and
 * `sign_in_busy` are exit code 2.
 *
 * - `keyring_unavailable`: there is no keyring, or it does not answer
 * - `keyring_locked`: a person has to unlock the keyring first
 * - `credentials_unsafe`: a file that others could have read or put there
 * - `unexpected_answer`: a backend's sign-in that cannot be stored; exit code 1
 * - `sign_in_busy`: another command that still runs keeps it locked; exit code 10
 * - `credentials_unreadable`, `settings_unreadable`: cannot be read or written, or is not what this tool writes
 */
export type SessionErrorCode =
  | "keyring_unavailable"
  | "keyring_locked"
  | "credentials_unsafe"
  | "credentials_unreadable"
  | "sign_in_busy"
  | "unexpected_answer"
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
