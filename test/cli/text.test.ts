import { expect, test } from "vitest";
import { decodeText } from "../../src/cli/kit/text.ts";

test.each([
  ["pass", Buffer.from("pass")],
  ["pass", Buffer.from("\uFEFFpass")],
  ["pässwörd", Buffer.from("\uFEFFpässwörd", "utf16le")],
  ["", Buffer.from("\uFEFF")],
  ["a\uFEFFb", Buffer.from("a\uFEFFb")],
])("%j is read, with or without a byte order mark", (expected, bytes) => {
  expect(decodeText(bytes)).toBe(expected);
});
