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
