/**
 * Reports whether the text is an existing date, `YYYY-MM-DD`, no earlier than the year 100: `Date.UTC` takes earlier
 * years for years of the 20th century. Kept apart from `calendar.ts` so that a start of the CLI does not load dayjs.
 */
export function isCalendarDate(text: string): boolean {
  const instant = Date.parse(`${text}T00:00:00Z`);
  const isFourDigitYear = /^(?!00)\d/.test(text);
  return isFourDigitYear && !Number.isNaN(instant) && new Date(instant).toISOString() === `${text}T00:00:00.000Z`;
}
