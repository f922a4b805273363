import { describe, expect, test } from "vitest";
import { readSeed } from "../../../src/backend/seeding/seedFile.ts";
import { organization, type SeedChanges, seed } from "../../support/seed.ts";

const { password: _, totpSecret: __, ...person } = organization(1).users[0] ?? {};

/** What a customer's organization has: people without secrets, who take every used license. */
const LIVE = { tokens: [], paymentMethod: null, usedLicenses: 0, users: [person] } as SeedChanges;

const fileOf = (changes: SeedChanges) => ({ path: "seed.json", text: JSON.stringify(seed(organization(1, changes))) });

describe("a seed file of customers", () => {
  test("is taken, with people who have no password yet", () => {
    const [imported] = readSeed(fileOf(LIVE), "live").seed.organizations;
    expect(imported?.users).toEqual([person]);
  });

  test.each<[string, SeedChanges, string]>([
    ["a password", { users: organization(1).users }, "users[0].password: is allowed in test mode only"],
    ["a token", { tokens: organization(1).tokens }, "tokens: is allowed in test mode only"],
    ["a test card", { paymentMethod: "card_ok" }, "paymentMethod: is allowed in test mode only"],
    ["sample users", { usedLicenses: 3 }, "usedLicenses: is not the 0 that the listed users take"],
  ])("is refused with %s", (_name, changes, problem) => {
    expect(() => readSeed(fileOf({ ...LIVE, ...changes }), "live")).toThrow(problem);
  });

  test("has to have passwords where they are used", () => {
    expect(() => readSeed(fileOf(LIVE))).toThrow("users[0].password: is missing");
  });
});
