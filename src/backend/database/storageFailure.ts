/**
 * The codes of a store that cannot be written or reached: a disk that is full, read-only or failing, and PostgreSQL's
 * classes 08, 53, 57P and 58 (appendix A of its manual).
 */
const STORAGE_CODE =
  /^(SQLITE_(FULL|READONLY|CANTOPEN|IOERR)(_\w+)?|ENOSPC|EDQUOT|EROFS|EIO|ECONNREFUSED|08\w{3}|53\w{3}|57P\w{2}|58\w{3})$/;

/** Whether an error means that the store cannot be written or reached for now, whatever the request. */
export function isStorageFailure(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && STORAGE_CODE.test(code);
}
