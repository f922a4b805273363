/** How far one call moves a sandbox's clock, so that it ends within a client's patience. */
export const MAX_CLOCK_YEARS = 25;

/** The days of that many calendar years, with as many leap days as can be among them. */
export const MAX_CLOCK_DAYS = 9_132;
