import { describe, expect, it } from "vitest";
import { type Page, readPages } from "../../src/client/pages.ts";

interface Item {
  readonly id: number;
  readonly text?: string;
}

const many = (from: number, count: number): Item[] =>
  Array.from({ length: count }, (_, index) => ({ id: from + index }));

/** Reads what a backend answers by the number of the request, and counts the requests. */
async function read(page: (asked: number) => Page<Item, string>, options: { limit?: number; maxItems?: number } = {}) {
  const asked: (string | null)[] = [];
  const reading = readPages<Item, string>({
    name: "things",
    read: async (cursor) => page(asked.push(cursor) - 1),
    keyOf: ({ id }) => id,
    ...options,
  });
  const ended = await reading.catch((error: unknown) => error as Error);
  return { ended, asked };
}

describe("a list in pages", () => {
  it("is read to its end, each item once", async () => {
    const { ended, asked } = await read((page) => ({ items: many(page * 2, 3), next: page < 4 ? `c${page}` : null }));
    expect(ended).toEqual({ items: many(0, 11), next: null });
    expect(asked).toEqual([null, "c0", "c1", "c2", "c3"]);
  });

  it("is read no further than requested", async () => {
    const { ended, asked } = await read((page) => ({ items: many(page * 10, 10), next: `c${page}` }), { limit: 20 });
    expect(ended).toEqual({ items: many(0, 20), next: "c1" });
    expect(asked).toHaveLength(2);
  });

  it("may contain an empty page", async () => {
    const { ended } = await read((page) => ({
      items: page === 1 ? [] : many(page, 1),
      next: page < 2 ? `c${page}` : null,
    }));
    expect(ended).toEqual({ items: [{ id: 0 }, { id: 2 }], next: null });
  });

  it.each<[string, (page: number) => Page<Item, string>, number]>([
    ["with a repeated cursor", (page) => ({ items: many(page, 1), next: "again" }), 2],
    ["with a cycle of cursors", (page) => ({ items: many(page, 1), next: `c${page % 3}` }), 4],
    ["of empty pages", (page) => ({ items: [], next: `c${page}` }), 3],
    ["of the same items", (page) => ({ items: many(0, 5), next: `c${page}` }), 4],
    ["of more items than allowed", (page) => ({ items: many(page * 1_000, 1_000), next: `c${page}` }), 101],
    ["of more pages than allowed", (page) => ({ items: many(page, 1), next: `c${page}` }), 10_000],
    [
      "that would fill the memory",
      (page) => ({ items: [{ id: page, text: "x".repeat(900_000) }], next: `c${page}` }),
      112,
    ],
  ])("%s fails", async (_, page, requests) => {
    const { ended, asked } = await read(page);
    expect(ended).toMatchObject({ code: "unexpected_answer", message: expect.stringContaining("things never ends") });
    expect(asked).toHaveLength(requests);
  });

  it("can have a lower limit of items", async () => {
    const { ended } = await read((page) => ({ items: many(page * 10, 10), next: `c${page}` }), { maxItems: 50 });
    expect(ended).toMatchObject({ code: "unexpected_answer" });
  });
});
