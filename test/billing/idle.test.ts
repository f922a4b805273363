import { describe, expect, test } from "vitest";
import { IDLE_DAYS, idleCutoff, idleSince } from "../../src/billing/idle.ts";

describe("idleSince", () => {
  test.each([
    [{ added: null, joined: null, lastLogin: null }, null],
    [{ added: 1, joined: null, lastLogin: null }, 1],
    [{ added: 1, joined: 2, lastLogin: null }, 2],
    [{ added: 2, joined: 1, lastLogin: null }, 1],
    [{ added: null, joined: null, lastLogin: 3 }, 3],
    [{ added: 1, joined: 2, lastLogin: 3 }, 3],
    // A sign-in of before they joined again.
    [{ added: 1, joined: 4, lastLogin: 3 }, 4],
    [{ added: 4, joined: null, lastLogin: 3 }, 4],
    [{ added: 1, joined: null, lastLogin: 3 }, 3],
  ])("of %j is %j", (activity, since) => {
    expect(idleSince(activity)).toBe(since);
  });
});

describe("idleCutoff", () => {
  test.each([
    ["2026-11-22T12:00:00Z", IDLE_DAYS, "2026-08-24T12:00:00Z"],
    // A day has 24 hours, whatever clocks do.
    ["2026-10-25T12:00:00Z", 1, "2026-10-24T12:00:00Z"],
    ["2026-11-22T12:00:00Z", 0, "2026-11-22T12:00:00Z"],
  ])("at %s for %d days is %s", (now, days, cutoff) => {
    expect(idleCutoff(Date.parse(now), days)).toBe(Date.parse(cutoff));
  });
});
