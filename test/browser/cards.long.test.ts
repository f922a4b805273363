import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Purchase } from "../../src/contract/billing.ts";
import { startBackend, type TestBackend } from "../backend/support/backend.ts";
import { addressOf, buyWaiting, read } from "../backend/support/paying.ts";
import { addCustomer, expectPaidInvariants, payThrough } from "../backend/support/stripe.ts";
import { useStandIn } from "../stripe/useStandIn.ts";
import { expectAccessible, openTab, requestsOf, startBrowser } from "../support/browser.ts";

let browser: Browser;
let backend: TestBackend;
let origin: string;

const standIn = useStandIn();

/** A card of each kind, by the names of Stripe's test methods. */
const [GOOD, DECLINED, APPROVED] = ["pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired"];

beforeAll(async () => {
  browser = await startBrowser();
  backend = await startBackend();
  payThrough(standIn, backend);
  origin = await backend.app.listen({ host: "127.0.0.1", port: 0 });
});

afterAll(async () => {
  await browser.close();
  await backend.close();
});

interface Waiting {
  readonly id: number;
  readonly purchase: Purchase;
  readonly address: string;
}

/** Makes a purchase that waits for its person, of an organization with a stored card or without one. */
async function waiting(card: string | null = null): Promise<Waiting> {
  const id = await addCustomer(standIn, backend, card);
  const purchase = await buyWaiting(backend, id);
  return { id, purchase, address: origin + addressOf(purchase) };
}

const title = (page: Page) => page.locator("h1").innerText();

const press = (page: Page, name: string) => page.getByRole("button", { name }).click();

const follow = async (page: Page, name: string) => {
  await page.getByRole("link", { name }).click();
  expect(new URL(page.url()).origin).toBe(standIn.ready.url);
};

const saveCard = async (page: Page, card: string) => {
  await page.getByLabel("Card").selectOption(card);
  await press(page, "Save card");
};

const enterCard = async (page: Page, card: string) => {
  await press(page, "by card");
  await follow(page, "Enter the card");
  await saveCard(page, card);
};

async function capturesOf({ id }: Purchase) {
  return (await standIn.control.captures()).filter(({ metadata }) => metadata.purchaseId === id);
}

async function expectPaidOnce({ id, purchase }: Waiting): Promise<void> {
  expect((await read(backend, id, purchase.id)).status).toBe("succeeded");
  expect(await capturesOf(purchase)).toHaveLength(1);
  await expectPaidInvariants(standIn, backend, id, 25);
}

describe("the payment page of a provider with customers, in a browser without JavaScript", () => {
  test("pays with a first card, entered on the provider's page", async () => {
    const made = await waiting();
    const page = await openTab(browser);
    const requests = requestsOf(page);
    await page.goto(made.address);
    await enterCard(page, GOOD);
    expect([page.url(), await title(page)]).toEqual([made.address, "Payment received"]);
    await page.reload();
    expect(await title(page)).toBe("Payment received");
    expect(new Set(requests.map((address) => new URL(address).origin))).toEqual(new Set([origin, standIn.ready.url]));
    await expectPaidOnce(made);
    await page.context().close();
  });

  test("pays with the stored card once the bank has approved it", async () => {
    const made = await waiting(APPROVED);
    const page = await openTab(browser);
    await page.goto(made.address);
    await press(page, "Pay £244.10");
    await follow(page, "Approve at your bank");
    await press(page, "Approve");
    expect(await title(page)).toBe("Payment received");
    await expectPaidOnce(made);
    await page.context().close();
  });

  test("shows that the bank refused, and pays with another card, from the address with the bank's parameters", async () => {
    const made = await waiting(APPROVED);
    const page = await openTab(browser);
    await page.goto(made.address);
    await press(page, "Pay £244.10");
    await follow(page, "Approve at your bank");
    await press(page, "Fail");
    expect(page.url()).toContain("payment_intent_client_secret");
    expect(await page.getByRole("alert").innerText()).toMatch(/^The bank did not approve the payment\./);
    await press(page, "Pay with another card");
    expect(page.url()).toBe(made.address);
    await follow(page, "Enter the card");
    await saveCard(page, GOOD);
    expect(await title(page)).toBe("Payment received");
    await expectPaidOnce(made);
    await page.context().close();
  });

  test("pays with a card that the bank asks about, after one that was declined", async () => {
    const made = await waiting();
    const page = await openTab(browser);
    await page.goto(made.address);
    await enterCard(page, DECLINED);
    expect(await page.getByRole("alert").innerText()).toMatch(/^Your card was declined\. Nothing was charged\./);
    await enterCard(page, APPROVED);
    // The bank asks before the card is saved, and again before it is charged.
    await press(page, "Approve");
    await follow(page, "Approve at your bank");
    await press(page, "Approve");
    expect(await title(page)).toBe("Payment received");
    await expectPaidOnce(made);
    await page.context().close();
  });

  test("pays once from two tabs, and shows that when it is gone back to", async () => {
    const made = await waiting();
    const [one, two] = [await openTab(browser), await openTab(browser)];
    for (const page of [one, two]) await page.goto(made.address);
    for (const page of [one, two]) {
      await press(page, "by card");
      await follow(page, "Enter the card");
    }
    expect(one.url()).toBe(two.url());
    await saveCard(one, GOOD);
    await saveCard(two, GOOD);
    expect(await title(one)).toBe("Payment received");
    expect(await title(two)).toMatch(/^This session has expired/);
    for (const page of [one, two]) {
      await page.goBack();
      await page.goBack();
      expect([page.url(), await title(page)]).toEqual([made.address, "Payment received"]);
    }
    await expectPaidOnce(made);
    for (const page of [one, two]) await page.context().close();
  });

  test("cancels with the bank's page still open, which then charges nothing", async () => {
    const made = await waiting(APPROVED);
    const [one, two] = [await openTab(browser), await openTab(browser)];
    await one.goto(made.address);
    await press(one, "Pay £244.10");
    await follow(one, "Approve at your bank");
    await two.goto(made.address);
    await two.getByRole("link", { name: "Cancel purchase" }).click();
    await press(two, "Cancel purchase");
    expect(await title(two)).toBe("The purchase was canceled");
    await press(one, "Approve");
    expect(await title(one)).toBe("This payment does not wait for you any more.");
    await one.goto(made.address);
    expect(await title(one)).toBe("The purchase was canceled");
    expect(await capturesOf(made.purchase)).toEqual([]);
    await expectPaidInvariants(standIn, backend, made.id, 25);
    for (const page of [one, two]) await page.context().close();
  });

  test("is used by keyboard alone", async () => {
    const made = await waiting(APPROVED);
    const page = await openTab(browser);
    await page.goto(made.address);
    await page.keyboard.press("Tab");
    expect(await page.locator(":focus").innerText()).toBe("Pay £244.10");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "Approve at your bank" }).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Approve" }).waitFor();
    expect(new URL(page.url()).origin).toBe(standIn.ready.url);
    await page.context().close();
  });
});

describe("every look, in light and in dark", () => {
  const STEPS: Record<string, [string | null, (page: Page) => Promise<void>]> = {
    "no stored card": [null, async () => {}],
    "a stored card": [APPROVED, async () => {}],
    "a card to enter": [null, (page) => press(page, "by card")],
    "at the bank": [APPROVED, (page) => press(page, "Pay £244.10")],
  };

  test.each(Object.entries(STEPS))("%s: passes axe and fits 320 pixels", async (_step, [card, go]) => {
    const made = await waiting(card);
    const page = await openTab(browser, { javaScript: true });
    await page.goto(made.address);
    await go(page);
    expect(await title(page)).toBe("Pay for 5 licenses");
    await expectAccessible(page);
    await page.context().close();
  });
});
