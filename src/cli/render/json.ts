/**
 * One JSON document, on one line unless it is indented, in which whatever a terminal would act on is escaped as `\uXXXX`, and so is what GitHub
 * Actions would take for a command in the middle of a line.
 */
export function toJson(data: unknown, indent = 0): string {
  return JSON.stringify(data, null, indent).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]|(?<=##)\[/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
