/** Debian's browser. Without it, `.config/vitest.config.ts` skips the browser tests. */
export const CHROMIUM = "/usr/bin/chromium";
