import { describe, expect, it } from "vitest";
import { codeOf, exitCodeOf, reportOf } from "../../src/cli/errors.ts";

/** Every code with its exit code is in errorTable.txt. */
describe("a thrown value", () => {
  it("exits with 1 if it is unknown", () => {
    for (const thrown of [new TypeError("x"), Object.assign(new TypeError("x"), { code: "ENOENT" }), "text", null]) {
      expect(exitCodeOf(thrown)).toBe(1);
      expect(reportOf(thrown).code).toBe("defect");
    }
    expect(codeOf(Object.assign(new TypeError("x"), { code: "toString" }))).toBeNull();
  });

  it("is recognized as a typed error by its shape, not its class", () => {
    const more = { hint: "ask", requestId: "req_1", problems: [{ line: 2, message: "is wrong" }] };
    const twin = Object.assign(new RangeError("no"), { code: "forbidden", ...more });
    expect(reportOf(twin)).toEqual({ code: "forbidden", message: "no", exitCode: 5, ...more });
  });
});
