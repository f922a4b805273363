import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { ScriptFont } from "./scripts.ts";
import { unpackFont } from "./woff.ts";

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
