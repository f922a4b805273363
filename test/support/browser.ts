import axe from "axe-core";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { expect } from "vitest";
import { CHROMIUM } from "./chromium.ts";

/** Starts the browser without a window. The caller closes it. */
export async function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
  });
}

/** How to view a page. */
export interface Looking {
  /** In CSS pixels: a phone's or a screen's. */
  readonly width?: number;
  /** Off by default, because pages must work without it; tests that inspect a page by script turn it on. */
  readonly javaScript?: boolean;
}

/** Opens a tab with cookies of its own. It closes with its browser, or by `page.context().close()`. */
export async function openTab(browser: Browser, looking: Looking = {}): Promise<Page> {
  const options: BrowserContextOptions = {
    javaScriptEnabled: looking.javaScript ?? false,
    viewport: { width: looking.width ?? 1024, height: 768 },
  };
  const page = await (await browser.newContext(options)).newPage();
  page.setDefaultTimeout(10_000);
  return page;
}

/** Fails unless axe finds nothing on the page, in light and in dark, and it fits windows of these widths. Requires JavaScript. */
export async function expectAccessible(page: Page, widths: readonly number[] = [320]): Promise<void> {
  for (const width of widths) {
    await page.setViewportSize({ width, height: 768 });
    expect(await overflow(page), `${width} pixels`).toBe(0);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await violations(page), `${colorScheme}, ${width} pixels`).toEqual([]);
    }
  }
}

/** Lists the problems that axe finds on the page, one line each. Requires JavaScript. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations: found } = await page.evaluate<axe.AxeResults>("axe.run()");
  return found.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(", ")}`);
}

/** By how many CSS pixels the page is wider than the window. Requires JavaScript. */
async function overflow(page: Page): Promise<number> {
  return page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth");
}

/** Records the URL of every later request of the tab, and returns the list. */
export function requestsOf(page: Page): string[] {
  const addresses: string[] = [];
  page.on("request", (request) => addresses.push(request.url()));
  return addresses;
}
