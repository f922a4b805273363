import { describe, expect, it } from "vitest";
import { isMember, readAllUsers, readUsers, withEmail } from "../../../src/cli/users/list.ts";
import type { User } from "../../../src/contract/users.ts";
import { user } from "../support/builders.ts";

const someone = (idUser: number): User => user({ idUser, email: `user${idUser}@example.test` });

const many = (from: number, count: number) => Array.from({ length: count }, (_, index) => someone(from + index));

/** A backend of these pages, then of empty ones, which counts what it was asked for. */
function pages(...list: User[][]) {
  const asked: number[] = [];
  const usersPage = async (_organizationId: number, page: number) => {
    asked.push(page);
    return list[page] ?? [];
  };
  return { usersPage, asked };
}

describe("the list of users", () => {
  it.each([
    ["empty", [[]], 0],
    ["one page, not full", [many(0, 3)], 3],
    ["full pages", [many(0, 20), many(20, 20)], 40],
    ["short pages between full ones", [many(0, 20), many(20, 1), many(21, 20), many(41, 7), many(48, 20)], 68],
  ])("ends at the first empty page: %s", async (_, list, count) => {
    const backend = pages(...list);
    expect((await readAllUsers(backend, 1)).map(({ idUser }) => idUser)).toEqual([...Array(count).keys()]);
    expect(backend.asked).toEqual([...Array(list.filter((page) => page.length > 0).length + 1).keys()]);
  });

  it.each([
    [99, 1, false, 6],
    [100, 0, false, 6],
    [101, 0, true, 6],
    [500, 0, true, 6],
  ])(
    "of %d limited to 100 reports whether there are more, and reads no further",
    async (count, _spare, more, asked) => {
      const list = Array.from({ length: Math.ceil(count / 20) }, (_, page) =>
        many(page * 20, Math.min(20, count - page * 20)),
      );
      const backend = pages(...list);
      const { users, hasMore } = await readUsers(backend, 1, 100);
      expect([users.length, hasMore, backend.asked.length]).toEqual([Math.min(count, 100), more, asked]);
    },
  );

  it("returns a user who moved to another page once", async () => {
    const backend = pages(many(0, 20), [someone(19)], many(19, 5));
    expect((await readAllUsers(backend, 1)).map(({ idUser }) => idUser)).toEqual([...Array(24).keys()]);
  });

  it.each([
    ["the same page repeatedly", (page: number) => many(page * 0, 20)],
    ["a cycle of pages", (page: number) => many((page % 2) * 20, 20)],
    ["an endless supply of users", (page: number) => many(page * 5_000, 5_000)],
  ])("fails if it never ends, with %s", async (_, page) => {
    const usersPage = async (_organizationId: number, number: number) => page(number);
    await expect(readAllUsers({ usersPage }, 1)).rejects.toMatchObject({
      code: "unexpected_answer",
      message: expect.stringContaining("never ends"),
    });
  });
});

describe("finding a user by email", () => {
  const ada = user({ email: "Ada@Northwind.example" });
  it("ignores spelling and removed users", () => {
    const list: User[] = [
      { ...ada, idUser: 1, status: "REMOVED" },
      { ...ada, idUser: 2, email: null },
      { ...ada, idUser: 3 },
      { ...ada, idUser: 4, email: "ada@northwind.example.org" },
      { ...ada, idUser: 5, email: "ADA@northwind.EXAMPLE", status: null },
    ];
    expect(withEmail(list, "ada@northwind.example").map(({ idUser }) => idUser)).toEqual([3, 5]);
    expect(list.filter(isMember)).toHaveLength(4);
  });

  it("matches Unicode forms and ASCII domains, and prefers the exact spelling", () => {
    const composed = { ...ada, idUser: 1, email: "zo\u00e9@b\u00fccher.example" };
    const decomposed = { ...ada, idUser: 2, email: "Zoe\u0301@bu\u0308cher.example" };
    const found = (list: User[], email: string) => withEmail(list, email).map(({ idUser }) => idUser);
    expect(found([composed], decomposed.email)).toEqual([1]);
    expect(found([composed], "ZO\u00c9@xn--bcher-kva.example")).toEqual([1]);
    expect(found([composed, decomposed], composed.email)).toEqual([1]);
    expect(found([composed, decomposed], decomposed.email.toLowerCase())).toEqual([2]);
    expect(found([composed, decomposed], "zo\u00e9@xn--bcher-kva.example")).toEqual([1, 2]);
  });
});
