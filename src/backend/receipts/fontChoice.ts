import type PDFDocument from "pdfkit";
import { ProblemError } from "../problem.ts";
import type { FontFiles } from "./fontFiles.ts";
import { fontsFor, isRightToLeft, type ScriptFont } from "./scripts.ts";

/** A piece of text in one font, by the name that the document knows it by. */
export interface Run {
  readonly font: string;
  readonly text: string;
}

/** What the PDF library's fonts can do beside what its types say (pdfkit 0.20, fontkit 2). */
interface OpenedFont {
  hasGlyphForCodePoint(codePoint: number): boolean;
}

/** Characters that are no letters by themselves: they stay in the font of what they stand beside. */
const JOINING = /[\p{Mark}\p{Default_Ignorable_Code_Point}]/u;
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u;

/** Chooses the font of every character: the one of every receipt where it has it, else one of the character's script. */
export class FontChoice {
  private readonly opened = new Map<string, OpenedFont | null>();
  private readonly chosen = new Map<string, string | null>();

  /** @param whole everything that will be set */
  constructor(
    private readonly document: InstanceType<typeof PDFDocument>,
    private readonly files: FontFiles,
    private readonly whole: string,
  ) {
    this.opened.set(files.base, this.open(files.base));
  }

  /**
   * Makes sure that there is a glyph for everything that will be set, so that there is never an empty box.
   *
   * @throws ProblemError `font_missing`, which names the packages to install
   */
  assertComplete(): void {
    if (isRightToLeft(this.whole)) {
      throw fontMissing("The receipt has text that is written from right to left, which a PDF receipt cannot hold yet");
    }
    const missing = [...new Set(readable(this.whole))].filter(
      (character) => this.fontOf(character) === null && !INVISIBLE.test(character),
    );
    if (missing.length === 0) return;
    const fonts = missing.map((character) =>
      fontsFor(character, this.whole).find((font) => this.openScript(font) === null),
    );
    const unknown = missing.find((_, index) => fonts[index] === undefined);
    if (unknown !== undefined) {
      const name = unknown.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0");
      throw fontMissing(`The receipt has the character U+${name}, which no font for PDF receipts has`);
    }
    throw fontMissing(
      `The receipt has ${listOf(fonts.map((font) => font?.script))} text, and its font is not installed; ` +
        `run \`npm install -g ${listOf(
          fonts.map((font) => font?.package),
          " ",
        )}\` where the backend runs`,
    );
  }

  /** A text in pieces of one font each. Invisible characters that no font has are left out. */
  runsOf(text: string): Run[] {
    const runs: { font: string; text: string }[] = [];
    for (const character of readable(text)) {
      const last = runs.at(-1);
      const joins = last !== undefined && JOINING.test(character) && this.has(last.font, character);
      const font = joins ? last.font : this.fontOf(character);
      if (font === null) continue;
      if (last?.font === font) last.text += character;
      else runs.push({ font, text: character });
    }
    return runs;
  }

  /** The first font that has a character; `null` where none of those installed has it. */
  private fontOf(character: string): string | null {
    const known = this.chosen.get(character);
    if (known !== undefined) return known;
    const font = this.has(this.files.base, character) ? this.files.base : this.scriptFontOf(character);
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
 * A text as it can be set: every kind of white space is one space; controls, which could turn a line round, and what is
 * no character go. Letters are composed, because fonts have the composed forms.
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

function fontMissing(message: string): ProblemError {
  return new ProblemError("font_missing", message);
}
