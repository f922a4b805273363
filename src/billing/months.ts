import type { CalendarDate } from "./calendar.ts";

/** A calendar month, `YYYY-MM`. Months compare as strings. */
export type CalendarMonth = string;

/** Reports whether the text is a month, `YYYY-MM`, no earlier than the year 1000. */
export function isCalendarMonth(text: string): boolean {
  return /^[1-9]\d{3}-(0[1-9]|1[0-2])$/.test(text);
}

/** Returns the month of a date. */
export function monthOf(date: CalendarDate): CalendarMonth {
  return date.slice(0, 7);
}

/** Returns the first day of a month. */
export function firstDayOf(month: CalendarMonth): CalendarDate {
  return `${month}-01`;
}

/** Returns the month `count` later, or earlier when negative. */
export function addMonths(month: CalendarMonth, count: number): CalendarMonth {
  const number = monthNumber(month) + count;
  return `${String(Math.floor(number / 12)).padStart(4, "0")}-${String((number % 12) + 1).padStart(2, "0")}`;
}

/** Counts the months from `from` to `to`, both included; 0 or less when `to` is earlier. */
export function countMonths(from: CalendarMonth, to: CalendarMonth): number {
  return monthNumber(to) - monthNumber(from) + 1;
}

function monthNumber(month: CalendarMonth): number {
  return Number(month.slice(0, 4)) * 12 + Number(month.slice(5, 7)) - 1;
}
