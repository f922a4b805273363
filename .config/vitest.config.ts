import { existsSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { CHROMIUM } from "../test/support/chromium.ts";
import { isInstalled } from "../test/support/installed.ts";
import { HAS_POPPLER } from "../test/support/poppler.ts";

// Amounts are written as the machine's locale writes them; the tests expect one.
process.env.LC_ALL = "C";
if (!process.env.TEST_DATABASE_URL) {
  console.log("TEST_DATABASE_URL is not set: the suite that runs on PostgreSQL is left out.");
}
const hasBrowser = existsSync(CHROMIUM);
if (!hasBrowser) console.log(`${CHROMIUM} is not there: the suite that runs in a browser is left out.`);
if (!HAS_POPPLER) console.log("pdftotext is not there: the tests that read PDF receipts with poppler are left out.");
for (const shell of ["bash", "zsh", "fish"].filter((program) => !isInstalled(program))) {
  console.log(`${shell} is not there: the tests of completion in it are left out.`);
}
if (!isInstalled("groff")) console.log("groff is not there: the tests that set the manual page are left out.");

export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    exclude: hasBrowser ? [] : ["test/browser/**"],
    expect: { requireAssertions: true },
    // What the files of a worker share is loaded once, which is half of the time that the small ones take.
    isolate: false,
    // The end-to-end files wait for their programs a third of the time: three of them keep two cores busy.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    coverage: { provider: "v8", include: ["src/**"], reporter: ["text-summary"] },
  },
});
