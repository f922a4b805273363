import { ClientError } from "./errors.ts";

/** More than any list has; one that goes on beyond it never ends. */
const DEFAULT_MAX_ITEMS = 100_000;
const MAX_PAGES = 10_000;
/** What is kept of a list in memory, in characters of its JSON. */
const MAX_CHARACTERS = 100_000_000;
/** After so many pages in a row with nothing new, a list goes round in circles. */
const MAX_PAGES_WITHOUT_NEWS = 3;

/** A page of a list: `next` is the cursor of the page after it, `null` on the last. */
export interface Page<Item, Cursor> {
  readonly items: readonly Item[];
  readonly next: Cursor | null;
}

/** How a list is read. */
interface PageReading<Item, Cursor> {
  /** Of what the list is, for the error: `users`. */
  readonly name: string;
  /** Reads one page; `cursor` is `null` for the first, `left` is how many items are still wanted. */
  read(cursor: Cursor | null, left: number): Promise<Page<Item, Cursor>>;
  /** By what an item is known again where it may come twice, such as its id; else each one is new. */
  readonly keyOf?: (item: Item) => unknown;
  /** How many items are wanted; all of them by default. */
  readonly limit?: number;
  /** More items than the list can have; 100,000 by default. */
  readonly maxItems?: number;
}

/**
 * Reads a list page by page until it ends or `limit` items are there. Pages, items and memory are bounded, whatever the
 * backend answers.
 *
 * @returns the items, which may be a page more than `limit`, and the cursor at which the list goes on, `null` at its end
 * @throws ClientError `unexpected_answer` for a list that never ends; what `read` throws
 */
export async function readPages<Item, Cursor extends string | number>({
  name,
  read,
  keyOf = () => Symbol(),
  limit = Number.POSITIVE_INFINITY,
  maxItems = DEFAULT_MAX_ITEMS,
}: PageReading<Item, Cursor>): Promise<{ items: Item[]; next: Cursor | null }> {
  const items = new Map<unknown, Item>();
  const cursors = new Set<Cursor>();
  let next: Cursor | null = null;
  let withoutNews = 0;
  let characters = 0;
  do {
    const page: Page<Item, Cursor> = await read(next, limit - items.size);
    const before = items.size;
    for (const item of page.items) {
      const key = keyOf(item);
      if (!items.has(key)) items.set(key, item);
    }
    next = page.next;
    if (next === null) break;
    if (cursors.has(next)) throw neverEnds(name, "a page that was read is the next one again");
    cursors.add(next);
    withoutNews = items.size > before ? 0 : withoutNews + 1;
    if (withoutNews === MAX_PAGES_WITHOUT_NEWS) throw neverEnds(name, `${withoutNews} pages in a row hold nothing new`);
    characters += JSON.stringify(page.items).length;
    if (items.size > maxItems || cursors.size >= MAX_PAGES || characters > MAX_CHARACTERS)
      throw neverEnds(name, `it goes on after ${items.size.toLocaleString("en-US")} of them`);
  } while (items.size < limit);
  return { items: [...items.values()], next };
}

function neverEnds(name: string, why: string): ClientError {
  return new ClientError("unexpected_answer", `The backend's list of ${name} never ends: ${why}`, {
    hint: "Report this to the operator of the backend.",
  });
}
