import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NOON, startBackend, type TestBackend } from "../backend/support/backend.ts";
import { fastForward, onlyRenewal, openSubscription } from "../backend/support/renewing.ts";
import { methodOf, methodPage } from "../backend/support/storedMethod.ts";
import { addCustomer, payThrough } from "../backend/support/stripe.ts";
import { useStandIn } from "../stripe/useStandIn.ts";
import { expectAccessible, openTab, requestsOf, startBrowser } from "../support/browser.ts";

let browser: Browser;
let sandbox: TestBackend;
let stripe: TestBackend;
let origins: { sandbox: string; stripe: string };

const standIn = useStandIn();

beforeAll(async () => {
  browser = await startBrowser();
  [sandbox, stripe] = [await startBackend(), await startBackend()];
  payThrough(standIn, stripe);
  const listen = ({ app }: TestBackend) => app.listen({ host: "127.0.0.1", port: 0 });
  origins = { sandbox: await listen(sandbox), stripe: await listen(stripe) };
});

afterAll(async () => {
  await browser.close();
  await sandbox.close();
  await stripe.close();
});

const title = (page: Page) => page.locator("h1").innerText();
const press = (page: Page, name: string) => page.getByRole("button", { name }).click();
const labelOf = async (backend: TestBackend, id: number) => (await methodOf(backend, id)).body.paymentMethod?.label;

test("a card of the list is stored, by keyboard alone", async () => {
  const id = await openSubscription(sandbox);
  const page = await openTab(browser);
  await page.goto(origins.sandbox + (await methodPage(sandbox, id)));
  await page.keyboard.press("Tab");
  await page.locator(":focus").selectOption("card_processing");
  await page.keyboard.press("Tab");
  expect(await page.locator(":focus").innerText()).toBe("Store this card");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "The payment method was changed" }).waitFor();
  expect(await labelOf(sandbox, id)).toContain("Bank debit");
  await page.context().close();
});

test("a card is entered on the provider's page, and stored on the way back", async () => {
  const id = await addCustomer(standIn, stripe, null);
  const address = origins.stripe + (await methodPage(stripe, id));
  const page = await openTab(browser);
  const requests = requestsOf(page);
  await page.goto(address);
  await press(page, "Enter another card");
  expect(page.url()).toBe(address);
  await page.getByRole("link", { name: "Enter the card" }).click();
  await page.getByLabel("Card").selectOption("pm_card_visa");
  await press(page, "Save card");
  expect([page.url(), await title(page)]).toEqual([address, "The payment method was changed"]);
  await page.reload();
  expect(await title(page)).toBe("Change the payment method");
  expect(await labelOf(stripe, id)).toBe("Visa ending in 4242");
  const visited = new Set(requests.map((url) => new URL(url).origin));
  expect(visited).toEqual(new Set([origins.stripe, standIn.ready.url]));
  await page.context().close();
});

describe("every look, in light and in dark", () => {
  const PAGES: Record<string, () => Promise<[address: string, go: (page: Page) => Promise<void>, title: string]>> = {
    "the list of cards": async () => {
      const id = await openSubscription(sandbox);
      return [origins.sandbox + (await methodPage(sandbox, id)), async () => {}, "Change the payment method"];
    },
    "the provider's page to go to": async () => {
      const id = await addCustomer(standIn, stripe, "pm_card_visa");
      const go = (page: Page) => press(page, "Enter another card");
      return [origins.stripe + (await methodPage(stripe, id)), go, "Change the payment method"];
    },
    "a card that was stored": async () => {
      const id = await openSubscription(sandbox);
      const go = async (page: Page) => {
        await page.getByLabel("Card").selectOption("card_processing");
        await press(page, "Store this card");
      };
      return [origins.sandbox + (await methodPage(sandbox, id)), go, "The payment method was changed"];
    },
    "a renewal whose card can be kept": async () => {
      sandbox.clocks.billing = NOON;
      const id = await openSubscription(sandbox, { anchorDate: "2025-11-23" }, { paymentMethod: "card_declined" });
      await fastForward(sandbox, sandbox.clocks.billing + 24 * 3_600_000);
      const { pathname } = new URL((await onlyRenewal(sandbox, id)).nextAction?.url ?? "");
      const go = async (page: Page) => {
        await page.getByLabel("Pay with").selectOption("card_ok");
        await press(page, "Pay £");
        await page.getByRole("button", { name: "Charge renewals to" }).waitFor();
      };
      return [origins.sandbox + pathname, go, "Payment received"];
    },
  };

  test.each(Object.entries(PAGES))("%s: passes axe and fits 320 pixels", async (_page, open) => {
    const [address, go, heading] = await open();
    const page = await openTab(browser, { javaScript: true });
    await page.goto(address);
    await go(page);
    expect(await title(page)).toBe(heading);
    await expectAccessible(page);
    await page.context().close();
  });
});
