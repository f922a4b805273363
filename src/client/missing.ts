/** Whether a backend said that it does not have what a call asked for, in whatever words. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && "status" in error && error.status === 404;
}
