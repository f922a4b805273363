import { describe, expect, it } from "vitest";
import { failureReason } from "../../../src/cli/buying/engine/failureWords.ts";
import { CliError } from "../../../src/cli/errors.ts";
import { reportFailure } from "../../../src/cli/kit/failure.ts";
import { addressText } from "../../../src/cli/kit/links.ts";
import { clean, cleanWhole } from "../../../src/cli/kit/text.ts";
import { fakeContext } from "../support/fakeContext.ts";

const LONG = "x".repeat(500_000);

describe("a long text from a backend", () => {
  it("is cut at 2 KB for people, never within a character", () => {
    expect(clean("x".repeat(2048))).toBe("x".repeat(2048));
    expect(clean(LONG)).toBe(`${"x".repeat(2047)}…`);
    expect(clean(`${"x".repeat(2046)}😀${LONG}`)).toBe(`${"x".repeat(2046)}…`);
    expect(cleanWhole(LONG)).toBe(LONG);
    expect(failureReason({ code: "other", message: LONG })).toHaveLength(2048);
    expect(addressText(`https://billing.example/${LONG}`)).toHaveLength(2048);
  });

  it("is complete in an error for programs, and cut in one for people, which keeps its hint", () => {
    const error = new CliError("unexpected_answer", LONG, { hint: "Look there." });
    const person = fakeContext();
    expect(reportFailure(error, [], person)).toBe(1);
    expect(person.written.stderr.length).toBeLessThan(2200);
    expect(person.written.stderr).toContain("Look there.");
    const program = fakeContext();
    expect(reportFailure(error, ["--json"], program)).toBe(1);
    expect(JSON.parse(program.written.stderr).error.message).toBe(`${LONG}.`);
  });
});

it.each([
  ["https://checkout.stripe.com\\@other.example", "https://checkout.stripe.com/@other.example"],
  ["http://127.0.0.1:4010/pay/1", "http://127.0.0.1:4010/pay/1"],
  ["javascript:alert(1)\u0007", "javascript:alert(1)"],
])("the URL %j is shown as %s", (text, shown) => {
  expect(addressText(text)).toBe(shown);
});
