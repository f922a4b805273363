import { expect, test } from "vitest";
import { MODES, type ModeFields, modeFields, modeOf } from "../../src/contract/mode.ts";

test.each<[ModeFields, string]>([
  [{ livemode: true, mode: "live" }, "live"],
  [{ livemode: false, mode: "test" }, "test"],
  [{ livemode: false, mode: "sandbox" }, "sandbox"],
  [{ mode: "sandbox" }, "sandbox"],
  [{ livemode: true }, "live"],
  [{ livemode: false }, "test"],
  [{}, "live"],
])("%j is %s", (fields, mode) => {
  expect(modeOf(fields)).toBe(mode);
});

test("both fields agree in every mode", () => {
  for (const mode of MODES) {
    expect(modeFields(mode)).toEqual({ livemode: mode === "live", mode });
    expect(modeOf(modeFields(mode))).toBe(mode);
  }
});
