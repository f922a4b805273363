/**
 * Whether the text is a date that exists, from the year 100 on: `2026-02-29` does not. It stands in a file without
 * packages, because it checks flags, and every start of the program loads what does.
 */
export function isCalendarDate(text: string): boolean {
  const instant = /^(?!00)\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return !Number.isNaN(instant) && new Date(instant).toISOString().startsWith(text);
}
