import type { Style } from "./style.ts";

/** What a renderer knows of where its text goes. */
export interface View {
  /** Columns; infinite off a terminal, where nothing is wrapped or cut. */
  readonly width: number;
  readonly style: Style;
  /** Writes a text in the characters that a terminal shows; left out where it shows all. */
  readonly inCharset?: (text: string) => string;
}
