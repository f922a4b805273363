import { Chalk, type ChalkInstance } from "chalk";
import { type ColorChoice, colorLevel } from "./color.ts";

/** How texts are set apart. With level 0 every function returns its text as it is. */
export type Style = Pick<ChalkInstance, "bold" | "dim" | "green" | "yellow" | "red" | "cyan">;

/** The style of a stream. */
export function createStyle(choice: ColorChoice): Style {
  return new Chalk({ level: colorLevel(choice) });
}
