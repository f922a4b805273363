const LONGEST = 40;

/** A value as an error names it: at most 40 characters of it. */
export function shorten(text: string): string {
  const characters = [...text];
  return characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join("")}…` : text;
}
