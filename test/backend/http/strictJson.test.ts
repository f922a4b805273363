import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseStrictJson } from "../../../src/backend/http/body.ts";

describe("strict JSON", () => {
  test.each([
    ['{"a":1,"a":1}', "a occurs twice"],
    ['{"a":{"b":[1,{"c":1,"c":2}]}}', "a.b[1].c occurs twice"],
    ['{"a:":1,"\\u0061:":2}', "a: occurs twice"],
    ['[{"":1,"":2}]', "[0]. occurs twice"],
    ['{"\\"":1,"\\"":2}', '" occurs twice'],
    ['{"\\\\":":","\\\\":":"}', "\\ occurs twice"],
    ['{"__proto__":1}', "__proto__ is not allowed"],
    ['{"a":[{"\\u005f_proto__":{"x":1}}]}', "a[0].__proto__ is not allowed"],
    ['{"a":1,"a":1,"__proto__":1}', "a occurs twice"],
    ["{a:1}", "is not JSON"],
    ["[".repeat(65) + "]".repeat(65), "is nested too deeply"],
    ["[".repeat(100_000) + "]".repeat(100_000), "is nested too deeply"],
  ])("rejects invalid text %#", (text, message) => {
    expect(() => parseStrictJson(text)).toThrow(message);
  });

  test("accepts any JSON without duplicate names, including strings full of quotes and colons", () => {
    const text = fc.string({ unit: fc.constantFrom('"', "\\", ":", "{", "}", ",", "a", "é", "\n") });
    const key = text.filter((name) => name !== "__proto__");
    fc.assert(
      fc.property(
        fc.jsonValue({ maxDepth: 20 }),
        fc.dictionary(key, fc.array(fc.dictionary(key, text))),
        (any, nested) => {
          const value = JSON.parse(JSON.stringify([any, nested]).replaceAll("__proto__", "proto"));
          expect(parseStrictJson(JSON.stringify(value, null, 1))).toEqual(value);
        },
      ),
    );
  });

  test("rejects a duplicate name anywhere", () => {
    const key = fc.string({ unit: fc.constantFrom('"', "\\", ":", "a"), maxLength: 3 });
    // That name is refused by itself.
    const value = fc.jsonValue().filter((one) => !JSON.stringify(one).includes("__proto__"));
    fc.assert(
      fc.property(fc.dictionary(key, value, { minKeys: 1 }), fc.nat(), fc.nat(4), (object, pick, depth) => {
        const names = Object.keys(object);
        const again = JSON.stringify(names[pick % names.length]);
        const twice = JSON.stringify(object).replace(/\}$/, `,${again}:null}`);
        const text = `${'{":":['.repeat(depth)}${twice}${"]}".repeat(depth)}`;
        expect(() => parseStrictJson(text)).toThrow("occurs twice");
      }),
    );
  });
});
