import { describe, expect, it } from "vitest";
import { formatMoney } from "../../../src/billing/money.ts";
import { isAsciiTerminal, toAscii } from "../../../src/cli/kit/ascii.ts";

describe("detecting an ASCII-only terminal", () => {
  it.each([
    [{}, false, false],
    [{ LANG: "" }, false, false],
    [{ LANG: "en_GB.UTF-8" }, false, false],
    [{ LANG: "C.utf8" }, false, false],
    [{ LANG: "de_DE.UTF-8@euro" }, false, false],
    [{ LC_CTYPE: "UTF-8" }, false, false],
    [{ LANG: "C" }, true, false],
    [{ LANG: "POSIX" }, true, false],
    [{ LANG: "de_DE@euro" }, true, false],
    [{ LANG: "garbage" }, true, false],
    [{ LANG: "en_US.ISO-8859-1" }, true, true],
    [{ LANG: "ja_JP.eucJP" }, true, true],
    [{ LANG: "en_US." }, true, true],
    [{ LC_ALL: "C", LC_CTYPE: "en_US.UTF-8", LANG: "en_US.UTF-8" }, true, false],
    [{ LC_ALL: "en_US.UTF-8", LANG: "C" }, false, false],
    [{ LC_ALL: "", LC_CTYPE: "en_US.ISO-8859-1", LANG: "en_US.UTF-8" }, true, true],
    [{ LC_ALL: "x".repeat(100_000) }, true, false],
  ])("%j: %s on Linux, %s on macOS and Windows", (env, onLinux, elsewhere) => {
    expect(isAsciiTerminal({ env, platform: "linux" })).toBe(onLinux);
    expect(isAsciiTerminal({ env, platform: "darwin" })).toBe(elsewhere);
    expect(isAsciiTerminal({ env, platform: "win32" })).toBe(elsewhere);
  });
});

describe("text in ASCII", () => {
  it.each([
    ["25 → 30, 5 × £150.00…", "25 -> 30, 5 x GBP 150.00..."],
    ["✓ Bought – “it’s” done", 'OK Bought - "it\'s" done'],
    ["\u001b[1m£244.10\u001b[22m", "\u001b[1mGBP 244.10\u001b[22m"],
    ["1.234,50 € and JP¥1,200, US$900.00, KWD 1.250", "1.234,50 EUR and JPY 1,200, US$900.00, KWD 1.250"],
    ["████░░", "####.."],
    ["┌─┬─┐\n│a│b│", "+-+-+\n|a|b|"],
    ["Łódź, Café, Straße, Ærø", "Lodz, Cafe, Strasse, AEro"],
    ["party 🎉 👩‍👩‍👧 🇬🇧 日本", "party ? ? ? ??"],
    ["a\u00a0b\u202fc", "a b c"],
    ["plain ? text\t", "plain ? text\t"],
  ])("%j becomes %j", (text, expected) => {
    expect(toAscii(text)).toBe(expected);
  });

  it("has the code of every currency", () => {
    for (const currency of Intl.supportedValuesOf("currency")) {
      const written = toAscii(formatMoney({ amount: 123_456, currency }));
      expect(written).toMatch(/^[\x20-\x7e]+$/);
      expect(written).not.toContain("?");
    }
    expect(toAscii(formatMoney({ amount: 12_345, currency: "INR" }))).toBe("INR 123.45");
  });
});
