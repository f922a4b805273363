/**
 * PostgreSQL's classes of lost connections and of a server that stops (appendix A of its manual), its codes of a transaction
 * that it ended (25P03) and of a server that has become a standby (25006), and Node's codes.
 */
const CONNECTION_CODE =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN|08\w{3}|57P\w{2}|25P03|25006)$/;

/** A disk that is full, read-only or failing, PostgreSQL's classes 53 and 58, and its time-outs. */
const STORAGE_CODE =
  /^(SQLITE_(FULL|READONLY|CANTOPEN|IOERR)(_\w+)?|ENOSPC|EDQUOT|EROFS|EIO|53\w{3}|58\w{3}|57014|55P03)$/;

/** The code of a transaction that PostgreSQL refused because of another one, and that may be repeated. */
export const SERIALIZATION_FAILURE = "40001";

/** Another transaction got in the way: `serialization_failure`, `deadlock_detected`. Nothing was written. */
const CONFLICT_CODE = /^(40001|40P01)$/;

function hasCode(error: unknown, pattern: RegExp): error is { readonly code: string } {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && pattern.test(code);
}

/** Whether the connection to the store was lost or never made. A COMMIT that was sent may have been carried out. */
export function isConnectionFailure(error: unknown): boolean {
  return hasCode(error, CONNECTION_CODE);
}

/** Whether an error means that the store cannot be written or reached for now, whatever the request. */
export function isStorageFailure(error: unknown): boolean {
  return hasCode(error, STORAGE_CODE) || isConnectionFailure(error) || isSerializationFailure(error);
}

/** Whether PostgreSQL refused a statement or transaction because of another one, so that it has to be repeated. */
export function isSerializationFailure(error: unknown): error is { readonly code: string } {
  return hasCode(error, CONFLICT_CODE);
}

/** Whether PostgreSQL refused a statement because a row with its key exists: `unique_violation`. */
export function isUniqueViolation(error: unknown): boolean {
  return hasCode(error, /^23505$/);
}
