import { existsSync } from "node:fs";
import type { TestProject } from "vitest/node";
import { CHROMIUM } from "./chromium.ts";
import { isInstalled } from "./installed.ts";
import { HAS_KEYRING } from "./keyrings.ts";
import { newerNode } from "./newerNode.ts";
import { HAS_PGBOUNCER } from "./pgbouncer.ts";
import { HAS_POPPLER } from "./poppler.ts";

/** Prints once, before the tests run, which of them are skipped and why. */
export default function setup({ vite }: TestProject): void {
  const isLong = vite.config.mode === "long";
  if (!isLong) console.log("The long tests are left out: `npm run test:long` runs them.");
  if (!process.env.TEST_DATABASE_URL) {
    console.log("TEST_DATABASE_URL is not set: the suite that runs on PostgreSQL is left out.");
  }
  if (isLong && !existsSync(CHROMIUM)) {
    console.log(`${CHROMIUM} is not there: the suite that runs in a browser is left out.`);
  }
  if (isLong && !HAS_KEYRING) {
    console.log("gnome-keyring or dbus is not there: the tests with a real keyring are left out.");
  }
  if (!HAS_PGBOUNCER) console.log("pgbouncer is not there: the tests of the service behind it are left out.");
  for (const line of isLong ? ([22, 24] as const) : []) {
    if (newerNode(line) !== null) continue;
    console.log(`npx has not fetched node@${line}: the tests of the SQLite of Node.js ${line} are left out.`);
  }
  if (isLong && !isInstalled("openssl")) {
    console.log("openssl is not there: the tests of proxies and certificates are left out.");
  }
  if (!HAS_POPPLER) console.log("pdftotext is not there: the tests that read PDF receipts with poppler are left out.");
  for (const shell of ["bash", "zsh", "fish"].filter((program) => !isInstalled(program))) {
    console.log(`${shell} is not there: the tests of completion in it are left out.`);
  }
  if (!isInstalled("groff")) console.log("groff is not there: the tests that set the manual page are left out.");
}
