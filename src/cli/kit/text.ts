import stringWidth from "string-width";

/**
 * Reads what was piped in, or is in a file that a person made: UTF-8, or the UTF-16 that Windows PowerShell writes, without
 * the byte order mark.
 */
export function decodeText(bytes: Uint8Array): string {
  const isWide = bytes[0] === 0xff && bytes[1] === 0xfe;
  return Buffer.from(bytes)
    .toString(isWide ? "utf16le" : "utf8")
    .replace(/^\uFEFF/, "");
}

/** Removes the line end that a shell adds. Spaces stay: a password may begin or end with them, as in a web page. */
export function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}

/** The longest text of a backend that a person is shown, in characters. */
export const MAX_TEXT = 2048;

/**
 * Makes a text from a backend or a file safe for a terminal (security.md, Hostile input): C0, C1 and bidirectional
 * controls and what no terminal can show go; tabs and line ends become spaces. Every visible character stays, also
 * those of an escape sequence, which is none without its first character.
 *
 * @param longest how many characters stay; what is cut ends with `…`
 */
export function clean(text: string, { longest = MAX_TEXT }: { readonly longest?: number } = {}): string {
  const cleaned = text
    .replace(/[\t\r\n\u2028\u2029]+/g, " ")
    .replace(/[\p{Control}\p{Bidi_Control}\p{Surrogate}\p{Noncharacter_Code_Point}]/gu, "");
  return cleaned.length > longest ? `${cleaned.slice(0, longest - 1).replace(/\p{Surrogate}$/u, "")}…` : cleaned;
}

/** Cleans a text and keeps all of it: for programs, and for what has to be copied whole. */
export function cleanWhole(text: string): string {
  return clean(text, { longest: Number.POSITIVE_INFINITY });
}

const LONGEST = 40;

/** A value as an error names it: at most 40 characters of it. */
export function shorten(text: string): string {
  const characters = [...text];
  return characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join("")}…` : text;
}

/** How many digits of an id a list shows; a command that takes an id takes these for the whole. */
const SHORT_DIGITS = 8;

/** The beginning of an id such as `pur_4f8c21d90a1b2c3d4e5f6071`, `pur_4f8c21d9`; another id is given back whole. */
export function shortId(id: string): string {
  return new RegExp(`^[a-z]+_[0-9a-f]{${SHORT_DIGITS}}(?=[0-9a-f]+$)`).exec(id)?.[0] ?? id;
}

/** Lines of at most `width` characters where words allow it; a longer word, such as a URL, stays whole to be copied. */
export function wrap(text: string, width: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && stringWidth(line) + 1 + stringWidth(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join("\n");
}

/** What decides whether a terminal shows more than ASCII. */
interface CharsetChoice {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
}

/**
 * Whether terminals show nothing but ASCII: the locale's character set (POSIX, "Internationalization Variables") is not
 * UTF-8. Without any of the variables, and without a character set on macOS and Windows, it is UTF-8.
 */
export function isAsciiTerminal({ env, platform }: CharsetChoice): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG;
  // macOS sets LC_CTYPE=UTF-8, without a language.
  if (!locale || /^utf-?8$/i.test(locale)) return false;
  const charset = /\.([^@]*)/.exec(locale)?.[1];
  if (charset === undefined) return platform !== "darwin" && platform !== "win32";
  return !/^utf-?8$/i.test(charset);
}

const SIGNS: Readonly<Record<string, string>> = {
  ...spelled("→:-> ←:<- ≤:<= ≥:>= ×:x ✓:OK ✔:OK ✗:x ✖:x ⚠:! •:* ·:* □:?"),
  ...spelled("‐:- ‑:- ‒:- –:- —:- ―:- −:- ‘:' ’:' “:\" ”:\" █:# ▓:# ▒:. ░:."),
  ...spelled("ß:ss æ:ae Æ:AE ø:o Ø:O œ:oe Œ:OE ł:l Ł:L đ:d Đ:D ð:d Ð:D þ:th Þ:TH ı:i"),
};

const NOT_ASCII = /[^\0-\x7f]/;

/** A currency's sign as amounts have it, with its letters: `£`, `JP¥`; then what follows it. */
const CURRENCY = /([A-Z]{0,3})(\p{Sc})(\d?)/gu;

/**
 * A text for a terminal that shows nothing but ASCII: `£244.10` is `GBP 244.10`, an arrow is `->`, letters lose their
 * accents, and whatever else there is, such as an emoji, is one `?` for each character that would be seen.
 */
export function toAscii(text: string): string {
  if (!NOT_ASCII.test(text)) return text;
  const coded = text.replace(CURRENCY, (whole, letters: string, sign: string, digit: string) => {
    if (!NOT_ASCII.test(sign)) return whole;
    const codes = currencyCodes();
    const code = codes.get(letters + sign) ?? letters + (codes.get(sign) ?? "?");
    return digit === "" ? code : `${code} ${digit}`;
  });
  const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" }).segment(coded);
  return Array.from(graphemes, ({ segment }) => (NOT_ASCII.test(segment) ? spell(segment) : segment)).join("");
}

function spell(grapheme: string): string {
  const sign = SIGNS[grapheme];
  if (sign !== undefined) return sign;
  // Box drawing: lines and corners.
  if (/^[─━═]$/.test(grapheme)) return "-";
  if (/^[│┃║]$/.test(grapheme)) return "|";
  if (/^[\u2500-\u257f]$/.test(grapheme)) return "+";
  const plain = grapheme.normalize("NFKD").replace(/[\p{Mark}\p{Default_Ignorable_Code_Point}]/gu, "");
  const spelledOut = SIGNS[plain] ?? plain;
  return NOT_ASCII.test(spelledOut) ? "?" : spelledOut;
}

function spelled(pairs: string): Record<string, string> {
  return Object.fromEntries(
    pairs.split(" ").map((pair) => [[...pair][0] as string, pair.slice(pair.indexOf(":") + 1)]),
  );
}

let codesBySign: Map<string, string> | null = null;

/** From the signs that amounts are written with, those of world English (see `formatMoney`), to ISO 4217 codes. */
function currencyCodes(): Map<string, string> {
  if (codesBySign !== null) return codesBySign;
  codesBySign = new Map();
  for (const currency of Intl.supportedValuesOf("currency")) {
    const parts = new Intl.NumberFormat("en-001", { style: "currency", currency }).formatToParts(1);
    const sign = parts.find(({ type }) => type === "currency")?.value ?? "";
    if (NOT_ASCII.test(sign) && !codesBySign.has(sign)) codesBySign.set(sign, currency);
  }
  return codesBySign;
}

/** A bar of so many columns, filled as far as its share; other than a color it says the same to everybody. */
export function bar(share: number, width: number): { filled: string; empty: string } {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width);
  return { filled: "█".repeat(filled), empty: "░".repeat(width - filled) };
}
