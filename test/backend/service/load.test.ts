import { afterEach, describe, expect, test } from "vitest";
import {
  type Load,
  type LoopDelay,
  measureLoopDelay,
  type ShedClass,
  shedReason,
} from "../../../src/backend/service/load.ts";

const IDLE: Load = { waiting: 0, loopDelay: 0, openRequests: 1 };

describe("what is refused because of the load", () => {
  test.each<[ShedClass, Partial<Load>, string]>([
    ["first", { waiting: 20 }, "pool"],
    ["normal", { waiting: 40 }, "pool"],
    ["last", { waiting: 80 }, "pool"],
    ["first", { loopDelay: 125 }, "event_loop"],
    ["normal", { loopDelay: 250 }, "event_loop"],
    ["last", { loopDelay: 500 }, "event_loop"],
    ["first", { openRequests: 500 }, "open_requests"],
    ["normal", { openRequests: 1_000 }, "open_requests"],
    ["last", { openRequests: 2_000 }, "open_requests"],
  ])("%s at a limit of %j is admitted, beyond it refused for %s", (shedClass, atLimit, reason) => {
    const load = { ...IDLE, ...atLimit };
    expect(shedReason(load, 10, shedClass)).toBeNull();
    const beyond = Object.fromEntries(Object.entries(atLimit).map(([name, value]) => [name, value + 1]));
    expect(shedReason({ ...load, ...beyond }, 10, shedClass)).toBe(reason);
  });

  test("what is never refused", () => {
    expect(shedReason({ waiting: 1e6, loopDelay: 1e6, openRequests: 1e6 }, 1, "never")).toBeNull();
  });
});

describe("the delay of the event loop", () => {
  let delay: LoopDelay | null = null;

  afterEach(() => delay?.stop());

  test("is measured while the loop is always late", async () => {
    delay = measureLoopDelay();
    expect(delay.read()).toBe(0);
    const deadline = performance.now() + 20_000;
    while (delay.read() < 40 && performance.now() < deadline) {
      const until = performance.now() + 100;
      while (performance.now() < until);
      await new Promise((resolve) => setTimeout(resolve));
    }
    expect(delay.read()).toBeGreaterThanOrEqual(40);
  });
});
