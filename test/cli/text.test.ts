import { expect, test } from "vitest";
import { decodeText, withoutLineEnd } from "../../src/cli/kit/text.ts";

test.each([
  ["pass", Buffer.from("pass")],
  ["pass", Buffer.from("\uFEFFpass")],
  ["pässwörd", Buffer.from("\uFEFFpässwörd", "utf16le")],
  ["", Buffer.from("\uFEFF")],
  ["a\uFEFFb", Buffer.from("a\uFEFFb")],
])("%j is read, with or without a byte order mark", (expected, bytes) => {
  expect(decodeText(bytes)).toBe(expected);
});

test.each([
  ["pass", "pass"],
  ["pass\n", "pass"],
  ["pass\r\n", "pass"],
  [" two words \r\n", " two words "],
  ["pass\n\n", "pass\n"],
])("%j is the password %j", (piped, expected) => {
  expect(withoutLineEnd(piped)).toBe(expected);
});
