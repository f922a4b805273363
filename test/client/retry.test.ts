import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { backoffMs, isTransientStatus, nextWaitMs, parseRetryAfter } from "../../src/client/retry.ts";

test.each([
  [200, false],
  [400, false],
  [401, false],
  [404, false],
  [408, true],
  [409, false],
  [422, false],
  [425, true],
  [429, true],
  [500, true],
  [502, true],
  [503, true],
  [599, true],
])("status %i is transient: %s", (status, expected) => {
  expect(isTransientStatus(status)).toBe(expected);
});

test("the backoff doubles from 0.3 s up to 8 s, with full jitter", () => {
  const highest = [1, 2, 3, 4, 5, 6, 7].map((tries) => backoffMs(tries, 0.999999));
  expect(highest).toEqual([299, 599, 1199, 2399, 4799, 7999, 7999]);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (tries, random) => {
        const wait = backoffMs(tries, random);
        return wait >= 0 && wait < 8_000;
      },
    ),
  );
});

test.each([
  [undefined, undefined, null],
  ["0", undefined, 0],
  ["3", undefined, 3_000],
  [" 3 ", undefined, 3_000],
  ["-3", undefined, null],
  ["1.5", undefined, null],
  ["soon", undefined, null],
  ["Sun, 22 Nov 2026 10:00:05 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 5_000],
  ["Sun, 22 Nov 2026 09:00:00 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 0],
  ["Sun, 22 Nov 2026 10:00:05 GMT", undefined, null],
])("Retry-After %s at %s is %s ms", (value, date, expected) => {
  expect(parseRetryAfter(value, date)).toBe(expected);
});

describe("nextWaitMs", () => {
  const situation = { tries: 1, retryAfterMs: null, random: 0.5, leftMs: 120_000, everSent: true, elapsedMs: 0 };

  test.each([
    ["waits with jitter", {}, 150],
    ["honors Retry-After", { retryAfterMs: 5_000 }, 5_000],
    ["waits with jitter if Retry-After is shorter", { tries: 5, retryAfterMs: 100 }, 2_400],
    ["gives up after six attempts", { tries: 6 }, null],
    ["makes a fifth attempt", { tries: 5 }, 2_400],
    ["gives up if Retry-After exceeds the time left", { retryAfterMs: 120_000 }, null],
    ["waits just within the time left", { retryAfterMs: 119_999 }, 119_999],
    ["gives up with no time left", { leftMs: 0 }, null],
    ["gives up after 20 s if nothing was sent", { everSent: false, elapsedMs: 19_900 }, null],
    ["continues before 20 s if nothing was sent", { everSent: false, elapsedMs: 19_000 }, 150],
    ["continues after 20 s if something was sent", { elapsedMs: 90_000 }, 150],
  ])("%s", (_name, change, expected) => {
    expect(nextWaitMs({ ...situation, ...change })).toBe(expected);
  });
});
