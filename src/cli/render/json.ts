/**
 * One JSON document on one line, in which whatever a terminal would act on is escaped as `\uXXXX`, and so is what GitHub
 * Actions would take for a command in the middle of a line.
 */
export function toJson(data: unknown): string {
  return JSON.stringify(data).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|(?<=##)\[/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
