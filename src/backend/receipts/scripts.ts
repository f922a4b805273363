/** A font for a script that the embedded one does not have: an optional package beside this one (details.md, 33). */
export interface ScriptFont {
  /** What people call the script. */
  readonly script: string;
  /** On the registry. */
  readonly package: string;
  /** Inside the package. */
  readonly file: string;
}

const JAPANESE = fontsource("Japanese", "noto-sans-jp", "japanese");
const KOREAN = fontsource("Korean", "noto-sans-kr", "korean");
const SIMPLIFIED = fontsource("Chinese", "noto-sans-sc", "chinese-simplified");
const TRADITIONAL = fontsource("Chinese", "noto-sans-tc", "chinese-traditional");

const KANA = /[\p{Script=Hiragana}\p{Script=Katakana}]/u;
const HANGUL = /\p{Script=Hangul}/u;
/** Han, the marks that these scripts share, and the wide forms of other characters. */
const EAST_ASIAN = /[\p{Script_Extensions=Han}\p{Script_Extensions=Katakana}\u3000-\u303f\uff00-\uffef]/u;
const OTHERS: readonly (readonly [RegExp, ScriptFont])[] = [
  [/\p{Script_Extensions=Devanagari}/u, fontsource("Devanagari", "noto-sans-devanagari", "devanagari")],
  [/\p{Script=Thai}/u, fontsource("Thai", "noto-sans-thai", "thai")],
];

/** Scripts that are written from right to left (UAX #9), which receipts are not set in. */
const RIGHT_TO_LEFT =
  /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Samaritan}\p{Script=Mandaic}\p{Script=Adlam}\p{Script=Hanifi_Rohingya}\p{Script=Mende_Kikakui}]/u;

/** Whether any of a text is written from right to left. */
export function isRightToLeft(text: string): boolean {
  return RIGHT_TO_LEFT.test(text);
}

/** What the embedded font is complete enough for: a letter of these that it lacks is a rare one. */
const EMBEDDED = /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}]/u;
/** Signs, emoji, marks and what is not assigned belong to no script (UAX #24). */
const NO_SCRIPT = /[\p{Script=Common}\p{Script=Inherited}\p{Script=Unknown}]/u;

/** Whether a text in which no font has this character cannot be read: it is of a script that the embedded font lacks. */
export function isOfScript(character: string): boolean {
  return !NO_SCRIPT.test(character) && !EMBEDDED.test(character);
}

/**
 * The fonts that may have a character, the best first; none where no package is known to have it.
 *
 * @param whole everything on the receipt: Han is set as Japanese beside kana, as Korean beside Hangul, else as Chinese
 */
export function fontsFor(character: string, whole: string): readonly ScriptFont[] {
  if (KANA.test(character)) return [JAPANESE];
  if (HANGUL.test(character)) return [KOREAN];
  if (EAST_ASIAN.test(character)) {
    const chinese = [SIMPLIFIED, TRADITIONAL];
    if (KANA.test(whole)) return [JAPANESE, ...chinese, KOREAN];
    return HANGUL.test(whole) ? [KOREAN, ...chinese, JAPANESE] : [...chinese, JAPANESE, KOREAN];
  }
  return OTHERS.flatMap(([letters, font]) => (letters.test(character) ? [font] : []));
}

function fontsource(script: string, name: string, subset: string): ScriptFont {
  return { script, package: `@fontsource/${name}`, file: `files/${name}-${subset}-400-normal.woff` };
}
