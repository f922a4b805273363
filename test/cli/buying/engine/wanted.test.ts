import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  isSameTarget,
  type LicenseTarget,
  licensesToBuy,
  type Wanted,
} from "../../../../src/cli/buying/engine/wanted.ts";

const picture = (purchased: number, used: number, coming = 0) => ({
  licenses: { purchased, used, available: purchased - used },
  pending: { purchases: coming === 0 ? 0 : 1, licenses: coming },
});

describe("licensesToBuy", () => {
  it.each<[Wanted, ReturnType<typeof picture>, number]>([
    [{ licenses: 5 }, picture(25, 22), 5],
    [{ available: 8 }, picture(25, 22), 5],
    [{ available: 3 }, picture(25, 22), 0],
    [{ available: 2 }, picture(25, 22), 0],
    [{ available: 0 }, picture(25, 25), 0],
    [{ available: 8 }, picture(25, 22, 5), 0],
    [{ available: 8 }, picture(25, 22, 4), 1],
    [{ available: 8 }, picture(25, 22, 9), 0],
    // More used than purchased, as after a reduction that was made elsewhere.
    [{ available: 1 }, picture(20, 22), 3],
    [{ available: 10, whenBelow: 3 }, picture(25, 22), 0],
    [{ available: 10, whenBelow: 4 }, picture(25, 22), 7],
    [{ available: 10, whenBelow: 4 }, picture(25, 22, 1), 0],
    [{ available: 10, whenBelow: 10 }, picture(25, 22), 7],
    [{ available: 10, whenBelow: 0 }, picture(25, 25), 0],
    [{ purchased: 30 }, picture(25, 22), 5],
    [{ purchased: 30 }, picture(25, 22, 5), 0],
    [{ purchased: 30 }, picture(31, 22), 0],
    [{ purchased: 0 }, picture(0, 0), 0],
  ])("%j of %j: %i", (wanted, seen, expected) => {
    expect(licensesToBuy(wanted, seen)).toBe(expected);
  });

  it("reaches a target exactly once purchases in progress complete", () => {
    const count = fc.integer({ min: 0, max: 20_000 });
    fc.assert(
      fc.property(count, count, count, count, (aim, purchased, used, coming) => {
        const seen = picture(purchased, used, coming);
        const after = purchased + coming + licensesToBuy({ available: aim }, seen) - used;
        expect(after).toBe(Math.max(aim, purchased + coming - used));
        const bought = purchased + coming + licensesToBuy({ purchased: aim }, seen);
        expect(bought).toBe(Math.max(aim, purchased + coming));
      }),
    );
  });
});

it.each<[LicenseTarget | null, LicenseTarget | null, boolean]>([
  [{ available: 5 }, { available: 5 }, true],
  [{ available: 5 }, { available: 6 }, false],
  [{ available: 5 }, { purchased: 5 }, false],
  [{ available: 5 }, { available: 5, whenBelow: 2 }, false],
  [{ available: 5, whenBelow: 2 }, { available: 5, whenBelow: 2 }, true],
  [{ purchased: 5 }, { purchased: 5 }, true],
  [{ purchased: 5 }, null, false],
  [null, { available: 5 }, false],
  [null, null, true],
])("%j and %j are the same target: %s", (one, other, same) => {
  expect(isSameTarget(one, other)).toBe(same);
});
