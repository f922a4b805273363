import { afterAll, beforeAll, expect } from "vitest";
import { removePlaces } from "../support/places.ts";
import { type RunningStandIn, type StandInSettings, startStandIn } from "./start.ts";

/**
 * The stand-in of a test file: started before its tests and stopped after them. A request that Stripe's types do not know
 * fails the file.
 */
export function useStandIn(settings: StandInSettings = {}): RunningStandIn {
  let standIn: RunningStandIn | undefined;
  beforeAll(async () => {
    standIn = await startStandIn(settings);
  });
  afterAll(async () => {
    const violations = await standIn?.control.violations();
    await standIn?.kill();
    await removePlaces();
    expect(violations).toEqual([]);
  });
  return new Proxy({} as RunningStandIn, {
    get: (_, name) => {
      if (!standIn) throw new TypeError("The stand-in has not started");
      const value: unknown = Reflect.get(standIn, name, standIn);
      return typeof value === "function" ? value.bind(standIn) : value;
    },
  });
}
