import type { Style } from "./style.ts";

/** What a renderer knows of where its text goes. */
export interface View {
  /** Columns, at most 60. */
  readonly width: number;
  readonly style: Style;
  /** Writes a text in the characters that a terminal shows; left out where it shows all. */
  readonly inCharset?: (text: string) => string;
}
