import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stepOutputs, withoutCommands, workflowCommand } from "../../src/cli/io.ts";
import { toJson } from "../../src/cli/kit/output.ts";

/** Whether GitHub's runner finds a command in a line, as its ActionCommand.TryParseV2 and TryParse do. */
function isCommand(line: string): boolean {
  return /^\s*::[^:]*::/u.test(line) || /##\[[^\]]+\]/.test(line);
}

describe("workflowCommand", () => {
  it.each([
    ["plain", "::error::plain\n"],
    ["100 % of\r\nit", "::error::100 %25 of%0D%0Ait\n"],
    ["a\n::add-mask::b", "::error::a%0A::add-mask::b\n"],
  ])("%j is one line", (value, expected) => {
    expect(workflowCommand("error", value)).toBe(expected);
  });
});

describe("withoutCommands", () => {
  it.each([
    "::error::x",
    "  ::set-output name=a::b",
    "\t::stop-commands::t",
    "a\n::error::x",
    "note ##[error]x",
    "::::",
  ])("%j contains no command", (text) => {
    expect(text.split("\n").some(isCommand)).toBe(true);
    expect(withoutCommands(text).split("\n").filter(isCommand)).toEqual([]);
    expect(withoutCommands(text).replaceAll("\u200b", "")).toBe(text);
  });

  it.each(["£244.10", "a :: b", "10:30::40", "#[x]", "http://[::1]:4010/"])("%j is unchanged", (text) => {
    expect(withoutCommands(text)).toBe(text);
  });

  it("no output line is a command, whatever was written", () => {
    const text = fc
      .array(fc.constantFrom(":", "::", "##", "[", "]", "error", " ", "\n", "\t", "\u00a0", "x"))
      .map((p) => p.join(""));
    fc.assert(
      fc.property(text, (written) => {
        expect(withoutCommands(written).split("\n").filter(isCommand)).toEqual([]);
      }),
    );
  });

  it("JSON is unchanged, and none of its lines is a command either", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("##[", "::", "error", "]", "\n", '"')), (parts) => {
        const data = { note: parts.join("") };
        expect(withoutCommands(toJson(data))).toBe(toJson(data));
        expect(isCommand(toJson(data))).toBe(false);
        expect(JSON.parse(toJson(data))).toEqual(data);
      }),
    );
  });
});

it("stepOutputs puts every value between delimiters", () => {
  expect(stepOutputs({ bought: "5", "purchase-id": "" }, "D")).toBe("bought<<D\n5\nD\npurchase-id<<D\n\nD\n");
});
