import { describe, expect, test } from "vitest";
import { createBuckets } from "../../../src/backend/service/buckets.ts";

function bucketsAt(rate: number, burst: number) {
  const clock = { now: 1_000_000 };
  return { clock, buckets: createBuckets({ rate, burst }, () => clock.now) };
}

describe("a token bucket", () => {
  test("gives its burst at once, then says when the next token is there", () => {
    const { buckets } = bucketsAt(2, 3);
    expect([1, 2, 3, 4].map(() => buckets.take("a"))).toEqual([0, 0, 0, 0.5]);
  });

  test("refills at its rate, up to its burst", () => {
    const { buckets, clock } = bucketsAt(2, 3);
    for (let taken = 0; taken < 3; taken += 1) buckets.take("a");
    clock.now += 499;
    expect(buckets.take("a")).toBeGreaterThan(0);
    clock.now += 1;
    expect([buckets.take("a"), buckets.take("a")]).toEqual([0, 0.5]);
    clock.now += 3_600_000;
    expect([1, 2, 3, 4].map(() => buckets.take("a"))).toEqual([0, 0, 0, 0.5]);
  });

  test.each([10, 20, 3])("a refusal takes nothing: who keeps asking gets in %i times a second", (rate) => {
    const { buckets, clock } = bucketsAt(rate, 1);
    let admitted = 0;
    for (let elapsed = 0; elapsed < 10_000; elapsed += 1) {
      if (buckets.take("a") === 0) admitted += 1;
      clock.now += 1;
    }
    expect(admitted).toBeGreaterThanOrEqual(10 * rate - 1);
    expect(admitted).toBeLessThanOrEqual(10 * rate);
  });

  test("each caller has one of their own, and looking takes nothing", () => {
    const { buckets } = bucketsAt(1, 1);
    expect([buckets.wait("a"), buckets.wait("a"), buckets.take("a"), buckets.wait("a")]).toEqual([0, 0, 0, 1]);
    expect(buckets.take("b")).toBe(0);
    buckets.drop("a");
    expect([buckets.has("a"), buckets.take("a")]).toEqual([false, 0]);
  });

  test("a clock that is set back gives nothing and takes nothing", () => {
    const { buckets, clock } = bucketsAt(1, 2);
    buckets.take("a");
    clock.now -= 60_000;
    expect([buckets.take("a"), buckets.take("a")]).toEqual([0, 1]);
  });
});

describe("the memory of the buckets", () => {
  test.each([
    [10, 50, 60_000],
    [1, 300, 300_000],
  ])("at %i/s and a burst of %i, those of idle callers are dropped after %i ms", (rate, burst, idleMs) => {
    const { buckets, clock } = bucketsAt(rate, burst);
    for (let caller = 0; caller < 1_000; caller += 1) buckets.take(`caller ${caller}`);
    clock.now += idleMs - 1;
    buckets.take("late");
    expect(buckets.size).toBe(1_001);
    clock.now += 1;
    buckets.take("late");
    expect(buckets.size).toBe(1);
  });

  test("is bounded even if every request is of another caller", () => {
    const { buckets } = bucketsAt(1, 1);
    for (let caller = 0; caller < 100_500; caller += 1) buckets.take(`caller ${caller}`);
    expect(buckets.size).toBe(100_000);
    expect([buckets.has("caller 0"), buckets.has("caller 100499")]).toEqual([false, true]);
  });
});
