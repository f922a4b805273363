import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { inflateSync } from "node:zlib";

/** Where the fonts of receipts come from. */
export interface FontFiles {
  /** The path of the font that every receipt is set in. */
  readonly base: string;
  /** The font of a script, or `null` where its package is not installed. */
  read(font: ScriptFont): Buffer | null;
}

/**
 * The fonts of this installation: DejaVu Sans, which the build puts beside the bundle and which is in its own package
 * where the sources run, and the packages that Node finds from here, so those installed beside this one.
 */
export function installedFonts(): FontFiles {
  const require = createRequire(import.meta.url);
  const beside = fileURLToPath(new URL("fonts/DejaVuSans.ttf", import.meta.url));
  return {
    base: existsSync(beside) ? beside : require.resolve("dejavu-fonts-ttf/ttf/DejaVuSans.ttf"),
    read: (font) => readFont(font, (file) => require.resolve(file)),
  };
}

/**
 * Reads the font of a script.
 *
 * @param resolve finds a package's file by its name, as `require.resolve` does
 */
export function readFont(font: ScriptFont, resolve: (file: string) => string): Buffer | null {
  let path: string;
  try {
    path = resolve(`${font.package}/${font.file}`);
  } catch {
    return null;
  }
  // Of a package that has another layout there is no such file.
  return existsSync(path) ? unpackFont(readFileSync(path)) : null;
}

const WOFF_SIGNATURE = "wOFF";

const WOFF_HEADER = 44;

const WOFF_ENTRY = 20;

const SFNT_HEADER = 12;

const SFNT_ENTRY = 16;

interface Table {
  readonly tag: Buffer;
  readonly checksum: number;
  readonly data: Buffer;
}

/**
 * A font as TrueType or OpenType, whatever it was packed in: WOFF 1.0 (W3C) is unpacked, anything else comes back as it
 * is. Done here because the PDF library unpacks a table anew for every glyph, which takes it a second for Japanese.
 */
export function unpackFont(file: Buffer): Buffer {
  if (file.toString("latin1", 0, 4) !== WOFF_SIGNATURE) return file;
  const count = file.readUInt16BE(12);
  const tables = Array.from({ length: count }, (_, index) => readTable(file, WOFF_HEADER + index * WOFF_ENTRY));
  return Buffer.concat([headerOf(file.subarray(4, 8), tables), ...tables.map(({ data }) => padded(data))]);
}

function readTable(file: Buffer, entry: number): Table {
  const offset = file.readUInt32BE(entry + 4);
  const packedLength = file.readUInt32BE(entry + 8);
  const length = file.readUInt32BE(entry + 12);
  const packed = file.subarray(offset, offset + packedLength);
  return {
    tag: file.subarray(entry, entry + 4),
    checksum: file.readUInt32BE(entry + 16),
    data: packedLength < length ? inflateSync(packed, { maxOutputLength: length }) : packed,
  };
}

/** The offset table and the directory of tables (OpenType, "Organization of an OpenType Font"). */
function headerOf(flavor: Buffer, tables: readonly Table[]): Buffer {
  const header = Buffer.alloc(SFNT_HEADER + tables.length * SFNT_ENTRY);
  const selector = Math.floor(Math.log2(tables.length));
  flavor.copy(header);
  header.writeUInt16BE(tables.length, 4);
  header.writeUInt16BE(16 * 2 ** selector, 6);
  header.writeUInt16BE(selector, 8);
  header.writeUInt16BE(16 * (tables.length - 2 ** selector), 10);
  let offset = header.length;
  for (const [index, { tag, checksum, data }] of tables.entries()) {
    const entry = SFNT_HEADER + index * SFNT_ENTRY;
    tag.copy(header, entry);
    header.writeUInt32BE(checksum, entry + 4);
    header.writeUInt32BE(offset, entry + 8);
    header.writeUInt32BE(data.length, entry + 12);
    offset += padded(data).length;
  }
  return header;
}

/** Tables begin at multiples of four bytes. */
function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
}

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
