/** Debian's browser; where it is missing `.config/vitest.config.ts` leaves the browser suite out. */
export const CHROMIUM = "/usr/bin/chromium";
