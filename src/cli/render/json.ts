/** One JSON document on one line, in which whatever a terminal would act on is escaped as `\uXXXX`. */
export function toJson(data: unknown): string {
  return JSON.stringify(data).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
