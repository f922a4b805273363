/**
 * Codes of a store that cannot be written or reached for now, though nothing is wrong with what was asked: a disk that is
 * full, read-only or failing, and of PostgreSQL the classes 08, 53, 57P and 58 (its manual, appendix A).
 */
const STORAGE_CODE =
  /^(SQLITE_(FULL|READONLY|CANTOPEN|IOERR)(_\w+)?|ENOSPC|EDQUOT|EROFS|EIO|ECONNREFUSED|08\w{3}|53\w{3}|57P\w{2}|58\w{3})$/;

/** Whether an error says that the store cannot be written or reached for now. */
export function isStorageFailure(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && STORAGE_CODE.test(code);
}
