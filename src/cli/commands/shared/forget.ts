import type { Context } from "../../context.ts";
import type { Journal } from "../../journal/journal.ts";

/**
 * Removes the journal entries of purchases whose end was printed, as the very last thing that this process does: until
 * then whatever kills it leaves an entry, and running again shows the purchase and buys nothing more (details.md, 1).
 *
 * @param keys of purchases that have ended
 */
export function forgetAtExit(
  context: Pick<Context, "atExit" | "reach">,
  journal: Journal,
  keys: readonly string[],
): void {
  if (keys.length === 0) return;
  context.atExit(() => {
    context.reach("C3");
    for (const key of keys) tryRemove(journal, key);
  });
}

/** The purchase has ended and was shown; an entry that cannot be removed only shows it once more. */
function tryRemove(journal: Journal, key: string): void {
  try {
    journal.remove(key);
  } catch {
    return;
  }
}
