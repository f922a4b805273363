import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { CHROMIUM } from "../test/support/chromium.ts";

// Amounts are written as the machine's locale writes them; the tests expect one.
process.env.LC_ALL = "C";

/** Files that take long: what plays every crash, race, terminal and page. */
const LONG = "test/**/*.long.test.ts";

/** `npm test` runs what is done in a few minutes, `npm run test:long` (the mode `long`) everything else. */
export default defineConfig(({ mode }) => ({
  test: {
    root: fileURLToPath(new URL("..", import.meta.url)),
    include: [mode === "long" ? LONG : "test/**/*.test.ts"],
    exclude: [...(mode === "long" ? [] : [LONG]), ...(existsSync(CHROMIUM) ? [] : ["test/browser/**"])],
    globalSetup: [
      ".config/built.mjs",
      "test/support/leftOut.ts",
      "test/support/pgbouncer.ts",
      "test/support/schemas.ts",
    ],
    expect: { requireAssertions: true },
    // What the files of a worker share is loaded once, which is half of the time that the small ones take.
    isolate: false,
    // The end-to-end files wait for their programs a third of the time: so many of them keep two cores busy.
    maxWorkers: 3,
    testTimeout: mode === "long" ? 90_000 : 30_000,
    hookTimeout: 60_000,
    coverage: { provider: "v8", include: ["src/**"], reporter: ["text-summary"] },
  },
}));
