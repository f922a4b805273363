import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import stringWidth from "string-width";
import { expect, test } from "vitest";
import { ROOT } from "../../support/places.ts";

test("characters that the bundle treats as one column are that wide", async () => {
  const [, source = ""] =
    /SINGLE_COLUMNS = \/(.*)\/;/.exec(await readFile(join(ROOT, ".config/lean.mjs"), "utf8")) ?? [];
  const single = new RegExp(source);
  const characters = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code)).filter((one) =>
    single.test(one),
  );
  expect(characters.length).toBeGreaterThan(0x7e - 0x20);
  expect(characters).toEqual(expect.arrayContaining([..."Aé£¥€→█░"]));
  expect(characters.filter((one) => stringWidth(one) !== 1)).toEqual([]);
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...characters)), (chosen) => {
      expect(stringWidth(chosen.join(""))).toBe(chosen.length);
    }),
  );
});
