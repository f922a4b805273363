const LONGEST = 40;

/** A value as an error names it: at most 40 characters of it. */
export function shorten(text: string): string {
  const characters = [...text];
  return characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join("")}…` : text;
}

/** How many digits of an id a list shows; a command that takes an id takes these for the whole. */
const SHORT_DIGITS = 8;

/** The beginning of an id such as `pur_4f8c21d90a1b2c3d4e5f6071`, `pur_4f8c21d9`; another id is given back whole. */
export function shortId(id: string): string {
  return new RegExp(`^[a-z]+_[0-9a-f]{${SHORT_DIGITS}}(?=[0-9a-f]+$)`).exec(id)?.[0] ?? id;
}
