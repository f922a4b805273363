import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { inflateSync } from "node:zlib";
import { readShipped } from "../shipped.ts";

/** The source of fonts for receipts. */
export interface FontFiles {
  /** The built-in font. */
  readonly base: Buffer;
  /** Reads the font of a script; `null` if its package is not installed. */
  read(font: ScriptFont): Buffer | null;
}

/**
 * Returns the fonts of this installation: DejaVu Sans, which the build copies next to the bundle and the sources take from
 * its package, and the font packages installed next to this one.
 */
export function installedFonts(): FontFiles {
  const require = createRequire(import.meta.url);
  return {
    base: readShipped("fonts/DejaVuSans.ttf") ?? readFileSync(require.resolve("dejavu-fonts-ttf/ttf/DejaVuSans.ttf")),
    read: (font) => readFont(font, (file) => require.resolve(file)),
  };
}

/**
 * Reads the font of a script.
 *
 * @param resolve resolves a package's file, like `require.resolve`
 */
export function readFont(font: ScriptFont, resolve: (file: string) => string): Buffer | null {
  let path: string;
  try {
    path = resolve(`${font.package}/${font.file}`);
  } catch {
    return null;
  }
  // Another version of the package may have another layout.
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
 * Unpacks a WOFF 1.0 font (W3C) to TrueType or OpenType; returns any other file unchanged. The PDF library would unpack a
 * table again for every glyph, which takes a second for Japanese.
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

/** Writes the offset table and the table directory (OpenType, "Organization of an OpenType Font"). */
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

/** Pads a table: tables start at multiples of four bytes. */
function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((4 - (data.length % 4)) % 4)]);
}

/** A font for a script that the built-in one lacks: an optional peer package (src/backend/README.md, Receipts). */
export interface ScriptFont {
  /** The common name of the script. */
  readonly script: string;
  /** The name of the package. */
  readonly package: string;
  /** The path within the package. */
  readonly file: string;
}

const JAPANESE = fontsource("Japanese", "noto-sans-jp", "japanese");

const KOREAN = fontsource("Korean", "noto-sans-kr", "korean");

const SIMPLIFIED = fontsource("Chinese", "noto-sans-sc", "chinese-simplified");

const TRADITIONAL = fontsource("Chinese", "noto-sans-tc", "chinese-traditional");

const KANA = /[\p{Script=Hiragana}\p{Script=Katakana}]/u;

const HANGUL = /\p{Script=Hangul}/u;

/** Han, the punctuation that East Asian scripts share, and wide forms of other characters. */
const EAST_ASIAN = /[\p{Script_Extensions=Han}\p{Script_Extensions=Katakana}\u3000-\u303f\uff00-\uffef]/u;

const OTHERS: readonly (readonly [RegExp, ScriptFont])[] = [
  [/\p{Script_Extensions=Devanagari}/u, fontsource("Devanagari", "noto-sans-devanagari", "devanagari")],
  [/\p{Script=Thai}/u, fontsource("Thai", "noto-sans-thai", "thai")],
];

/** Scripts written from right to left (UAX #9), which receipts do not support. */
const RIGHT_TO_LEFT =
  /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Samaritan}\p{Script=Mandaic}\p{Script=Adlam}\p{Script=Hanifi_Rohingya}\p{Script=Mende_Kikakui}]/u;

/** Reports whether a text contains right-to-left letters. */
export function isRightToLeft(text: string): boolean {
  return RIGHT_TO_LEFT.test(text);
}

/** The scripts that the built-in font covers: a letter of these that it lacks is rare. */
const EMBEDDED = /[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}]/u;

/** Symbols, emoji, marks and unassigned characters belong to no script (UAX #24). */
const NO_SCRIPT = /[\p{Script=Common}\p{Script=Inherited}\p{Script=Unknown}]/u;

/** Reports whether a text is unreadable without this character: it belongs to a script that the built-in font lacks. */
export function needsScriptFont(character: string): boolean {
  return !NO_SCRIPT.test(character) && !EMBEDDED.test(character);
}

/**
 * Returns the fonts that may have a character, best first; none if no package is known to have it.
 *
 * @param whole the text of the receipt: Han is set as Japanese next to kana, as Korean next to Hangul, otherwise as Chinese
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
