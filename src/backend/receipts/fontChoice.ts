import type PDFDocument from "pdfkit";
import { BackendError } from "../errors.ts";
import { type FontFiles, fontsFor, isRightToLeft, needsScriptFont, type ScriptFont } from "./fonts.ts";

/** A piece of text in one font, by its name in the document. */
export interface Run {
  readonly font: string;
  readonly text: string;
}

/** A method of the PDF library's fonts that its types lack (pdfkit 0.20, fontkit 2). */
interface OpenedFont {
  hasGlyphForCodePoint(codePoint: number): boolean;
}

/** Characters that combine with the one before and stay in its font. */
const JOINING = /[\p{Mark}\p{Default_Ignorable_Code_Point}]/u;

const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;

/** Joined emoji, which no font for receipts has (UTS #51). */
const EMOJI_SEQUENCE = /\p{Extended_Pictographic}\ufe0f?\u200d/u;

/** The name of the built-in font in the document. */
const BASE = "DejaVu Sans";

/** Drawn for a character that no font has; the built-in font has it. */
const STAND_IN = "\u25a1";

/** Chooses the font of each character: the built-in one if it has the character, otherwise one for its script. */
export class FontChoice {
  private readonly opened = new Map<string, OpenedFont | null>();
  private readonly chosen = new Map<string, string | null>();
  private readonly graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

  /** @param whole all text of the receipt */
  constructor(
    private readonly document: InstanceType<typeof PDFDocument>,
    private readonly files: FontFiles,
    private readonly whole: string,
  ) {
    document.registerFont(BASE, files.base);
    this.opened.set(BASE, this.open(BASE));
  }

  /**
   * Asserts that the names on a receipt are readable, that is, that their scripts have fonts. Any other character without
   * a font is replaced.
   *
   * @param names the names of the organization, of people and of the product
   * @throws BackendError `font_missing`, with the packages to install
   */
  assertReadable(names: string): void {
    if (isRightToLeft(names)) {
      throw fontMissing("A name on the receipt is written from right to left, which PDF receipts do not support");
    }
    const missing = [...new Set(readable(names))].filter(
      (character) => needsScriptFont(character) && this.fontOf(character) === null,
    );
    const fonts = missing.flatMap(
      (character) => fontsFor(character, this.whole).find((font) => this.openScript(font) === null) ?? [],
    );
    // If every font of its script is installed, the character is rare and is replaced.
    const unknown = missing.find((character) => fontsFor(character, this.whole).length === 0);
    if (unknown !== undefined) {
      const name = unknown.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0");
      throw fontMissing(
        `A name on the receipt has the character U+${name}, and no font for PDF receipts has that script`,
      );
    }
    if (fonts.length === 0) return;
    throw fontMissing(
      `The receipt has ${listOf(fonts.map((font) => font.script))} text, but its font is not installed; ` +
        `run \`npm install -g ${listOf(
          fonts.map((font) => font.package),
          " ",
        )}\` where the backend runs`,
    );
  }

  /** Splits a text into runs of one font, and replaces each visible character that no font has. */
  runsOf(text: string): Run[] {
    const runs: { font: string; text: string }[] = [];
    const add = (font: string, character: string) => {
      const last = runs.at(-1);
      if (last?.font === font) last.text += character;
      else runs.push({ font, text: character });
    };
    for (const { segment } of this.graphemes.segment(readable(text))) {
      if (this.needsStandIn(segment)) {
        add(BASE, STAND_IN);
        continue;
      }
      for (const character of segment) {
        const last = runs.at(-1);
        const joins = last !== undefined && JOINING.test(character) && this.has(last.font, character);
        const font = joins ? last.font : this.fontOf(character);
        if (font !== null) add(font, character);
      }
    }
    return runs;
  }

  /** Reports whether to replace a grapheme. A mark that no font has is left out next to a letter that one has. */
  private needsStandIn(grapheme: string): boolean {
    if (EMOJI_SEQUENCE.test(grapheme)) return true;
    const visible = [...grapheme].filter((character) => !JOINING.test(character));
    const shown = visible.length > 0 ? visible : [...grapheme].filter((character) => !INVISIBLE.test(character));
    return shown.some((character) => this.fontOf(character) === null);
  }

  /** Returns the first installed font that has a character; `null` if none has it. */
  private fontOf(character: string): string | null {
    const known = this.chosen.get(character);
    if (known !== undefined) return known;
    const isBase = this.has(BASE, character) && !isRightToLeft(character);
    const font = isBase ? BASE : this.scriptFontOf(character);
    this.chosen.set(character, font);
    return font;
  }

  private scriptFontOf(character: string): string | null {
    const fonts = fontsFor(character, this.whole);
    const found = fonts.find((font) => this.openScript(font) !== null && this.has(font.package, character));
    return found?.package ?? null;
  }

  private has(font: string, character: string): boolean {
    return this.opened.get(font)?.hasGlyphForCodePoint(character.codePointAt(0) ?? 0) ?? false;
  }

  private openScript(font: ScriptFont): OpenedFont | null {
    const known = this.opened.get(font.package);
    if (known !== undefined) return known;
    const file = this.files.read(font);
    if (file !== null) this.document.registerFont(font.package, file);
    const opened = file && this.open(font.package);
    this.opened.set(font.package, opened);
    return opened;
  }

  private open(name: string): OpenedFont {
    this.document.font(name);
    return (this.document as unknown as { readonly _font: { readonly font: OpenedFont } })._font.font;
  }
}

/**
 * Prepares a text for setting: white space becomes single spaces; controls, which could reverse a line, and noncharacters
 * are removed. Letters are composed, because fonts have the composed forms.
 */
export function readable(text: string): string {
  return text
    .replace(/[\s\u0085]+/gu, " ")
    .replace(/[\p{Control}\p{Bidi_Control}\p{Surrogate}\p{Noncharacter_Code_Point}]/gu, "")
    .normalize("NFC");
}

function listOf(names: readonly (string | undefined)[], between = " and "): string {
  return [...new Set(names)].join(between);
}

function fontMissing(message: string): BackendError {
  return new BackendError("font_missing", message);
}
