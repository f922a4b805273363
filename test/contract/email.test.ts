import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emailKey, isEmailAddress } from "../../src/contract/email.ts";

const LABEL_63 = "x".repeat(63);

describe("the key of an email", () => {
  test.each([
    ["upper case", "ADA@Example.TEST", "ada@example.test"],
    ["a decomposed letter", "zoe\u0301@example.test", "zo\u00e9@example.test"],
    ["a decomposed letter in upper case", "ZOE\u0301@example.test", "zo\u00e9@example.test"],
    ["a domain in Unicode", "ada@b\u00fccher.example", "ada@xn--bcher-kva.example"],
    ["a decomposed domain in upper case", "ada@BU\u0308CHER.example", "ada@xn--bcher-kva.example"],
    ["a domain in punycode", "ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"],
    ["a domain with an ideographic full stop", "ada@\u4f8b\u3048\u3002jp", "ada@xn--r8jz45g.jp"],
    ["a plus, which is kept", "ada+ci@example.test", "ada+ci@example.test"],
    ["dots in the local part, which are kept", "a.d.a@example.test", "a.d.a@example.test"],
    ["a sharp s, which is another domain than ss", "ada@stra\u00dfe.example", "ada@xn--strae-oqa.example"],
    ["no domain", "Ada", "ada"],
    ["a character that ends a URL's host", "ada@example.test/X", "ada@example.test/x"],
    ["an invalid domain", "ada@xn--a", "ada@xn--a"],
  ])("of %s", (_, email, key) => {
    expect(emailKey(email)).toBe(key);
  });

  test("is idempotent, and the same for every normal form", () => {
    const email = fc
      .tuple(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }))
      .map((parts) => parts.join("@"));
    fc.assert(
      fc.property(email, (text) => {
        const key = emailKey(text);
        for (const spelling of [key, text.normalize("NFC"), text.normalize("NFD")])
          expect(emailKey(spelling)).toBe(key);
      }),
    );
  });
});

describe("an address", () => {
  test.each([
    "ada@example.test",
    "ada+ci@example.test",
    "miles.o'brien@example.test",
    "a@b.co",
    "z\u00f6e@example.test",
    "\u{20bb7}@example.test",
    "ada@b\u00fccher.example",
    "ada@xn--bcher-kva.example",
    "ada@\u4f8b\u3048.\u30c6\u30b9\u30c8",
    "ada@example.photography",
    "ada@example.xn--vermgensberatung-pwb",
    "ada@my-company.example",
    "ada@3com.example",
    `${"x".repeat(64)}@example.test`,
    `ada@${LABEL_63}.test`,
    `${"x".repeat(64)}@${LABEL_63}.${LABEL_63}.${"x".repeat(58)}.co`,
  ])("%s is valid", (email) => {
    expect(isEmailAddress(email)).toBe(true);
  });

  test.each([
    "",
    "ada",
    "@example.test",
    "ada@",
    "ada@example.test.",
    "ada@example..test",
    "ada@.example.test",
    ".ada@example.test",
    "ada.@example.test",
    "ad..a@example.test",
    "ada@example.test/x",
    "ada@exa/mple.test",
    "ada@exa%6Dple.test",
    "ada@example.test?x",
    "ada@example.test#x",
    "ada@example.test:25",
    "ada@example.test\\x",
    "ada@localhost",
    "ada@-example.test",
    "ada@example-.test",
    "ada@example.-test",
    "ada@-b\u00fccher.example",
    "ada@b\u00fccher-.example",
    "ada@exa_mple.test",
    "ada@127.0.0.1",
    "ada@[127.0.0.1]",
    "ada@example.123",
    "ada@xn--a.example",
    '"a b"@example.test',
    "ada@bob@example.test",
    "Ada <ada@example.test>",
    "ad a@example.test",
    "ad\u00a0a@example.test",
    "ada@example\u3000.test",
    "ada@exam ple.test",
    "ad\u0001a@example.test",
    "ada@example.test\n",
    `${"x".repeat(65)}@example.test`,
    `${"\u00fc".repeat(33)}@example.test`,
    `ada@${"x".repeat(64)}.test`,
    `ada@${"\u00fc".repeat(60)}.test`,
    `${"x".repeat(64)}@${LABEL_63}.${LABEL_63}.${"x".repeat(59)}.co`,
  ])("%j is invalid", (email) => {
    expect(isEmailAddress(email)).toBe(false);
  });
});
