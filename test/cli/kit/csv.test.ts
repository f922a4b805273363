import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Cell, toCsv } from "../../../src/cli/kit/csv.ts";

test.each<[Cell, string]>([
  ["plain", "plain"],
  ["", ""],
  [null, ""],
  [0, "0"],
  [-1, "-1"],
  [24_410, "24410"],
  [{ decimal: "-244.10" }, "-244.10"],
  [true, "true"],
  [false, "false"],
  ["a,b", '"a,b"'],
  ['say "hi"', '"say ""hi"""'],
  ["a;b", "a;b"],
  ["two\r\nlines", "two lines"],
  ["red\u001b[31m", "red[31m"],
  ["\u202egnp.exe", "gnp.exe"],
  ["=1+1", "'=1+1"],
  ["+44 20", "'+44 20"],
  ["-1", "'-1"],
  ["@sum", "'@sum"],
  ["\t=1", "' =1"],
  ["\tx", "' x"],
  ["\rx", "' x"],
  ["\n=1", "' =1"],
  [" =1", "' =1"],
  ["\0=1", "'=1"],
  ["\u200e=1", "'=1"],
  ["\uff1d1", "'\uff1d1"],
  ['=HYPERLINK("x","y")', '"\'=HYPERLINK(""x"",""y"")"'],
  ["a=b", "a=b"],
  ["'=1", "'=1"],
])("the cell %j is written as %j", (cell, text) => {
  expect(toCsv(["first", "second"], [[cell, 7]])).toBe(`first,second\n${text},7`);
});

test("headers are written without rows", () => {
  expect(toCsv(["email", "first, last"], [])).toBe('email,"first, last"');
});

test("whatever the cells contain, reading back gives every cell, with no formula and no cursor movement", () => {
  const unit = fc.constantFrom(..."=+-@\t\r\n '\",;\0\u001b\u202e\uff1dxé".split(""), "😀");
  const row = fc.tuple(fc.string({ unit }), fc.string({ unit }), fc.string());
  fc.assert(
    fc.property(fc.array(row, { minLength: 1 }), (rows) => {
      const text = toCsv(["a", "b", "c"], rows);
      expect(text.split("\n")).toHaveLength(rows.length + 1);
      const back = parse(text, { relax_column_count: false, skip_empty_lines: false });
      expect(back).toHaveLength(rows.length + 1);
      for (const cell of back.flat()) expect(cell).not.toMatch(/^\s*[=+\-@\t\r\uff1d]|[\p{Control}\p{Bidi_Control}]/u);
    }),
  );
});
