/** A journal that fails: `journal_not_written` (nothing was sent) or `journal_unreadable`. Both are exit code 2. */
export class JournalError extends Error {
  override readonly name = "JournalError";

  constructor(
    readonly code: "journal_not_written" | "journal_unreadable",
    message: string,
    readonly hint: string,
    options?: { cause: unknown },
  ) {
    super(message, options);
  }
}
