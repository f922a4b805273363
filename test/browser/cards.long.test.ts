import Fastify, { type FastifyInstance } from "fastify";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Purchase } from "../../src/contract/billing.ts";
import { organization, startBackend, type TestBackend } from "../backend/support/backend.ts";
import { type CardProvider, useCardProvider } from "../backend/support/cardProvider.ts";
import { expectInvariants } from "../backend/support/invariants.ts";
import { addressOf, buyWaiting, read } from "../backend/support/paying.ts";
import { openTab, overflow, requestsOf, startBrowser, violations } from "../support/browser.ts";

let browser: Browser;
let backend: TestBackend;
let provider: CardProvider;
let pages: FastifyInstance;
let origin: string;
let elsewhere: string;

beforeAll(async () => {
  browser = await startBrowser();
  backend = await startBackend();
  pages = providerPages();
  elsewhere = await pages.listen({ host: "127.0.0.1", port: 0 });
  provider = useCardProvider(backend, elsewhere);
  origin = await backend.app.listen({ host: "127.0.0.1", port: 0 });
});

afterAll(async () => {
  await browser.close();
  await pages.close();
  await backend.close();
});

/** The pages of the provider and of the bank, on another origin. Their buttons lead back as the real ones do. */
function providerPages(): FastifyInstance {
  const app = Fastify();
  app.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string" }, (_request, body, done) =>
    done(null, Object.fromEntries(new URLSearchParams(String(body)))),
  );
  const form = (...choices: string[]) =>
    `<form method="post">${choices.map((choice) => `<button name="choice" value="${choice}">${choice}</button>`).join("")}</form>`;
  app.get("/card/:id", (_request, reply) =>
    reply.type("text/html").send(form("card_ok", "card_declined", "card_requires_approval")),
  );
  app.post("/card/:id", (request, reply) => {
    const page = provider.pages.find(({ id }) => id === (request.params as { id: string }).id);
    if (page?.status === "open") provider.enter(page, (request.body as { choice: string }).choice);
    return reply.redirect(page?.returnUrl ?? "", 303);
  });
  app.get("/bank/:id", (_request, reply) => reply.type("text/html").send(form("approve", "refuse")));
  app.post("/bank/:id", async (request, reply) => {
    const isApproved = (request.body as { choice: string }).choice === "approve";
    return reply.redirect(await provider.decide((request.params as { id: string }).id, isApproved), 303);
  });
  return app;
}

interface Waiting {
  readonly id: number;
  readonly purchase: Purchase;
  readonly address: string;
}

/** Makes a purchase that waits for its person, of an organization with a stored card or without one. */
async function waiting(card: string | null = null): Promise<Waiting> {
  const made = organization({ paymentMethod: null });
  await backend.addOrganization(made);
  const customer = `cus_${made.id}`;
  const stored = card === null ? {} : { payment_method: provider.save(customer, card), payment_method_label: card };
  await backend.deps.database
    .updateTable("subscriptions")
    .set({ customer_id: customer, ...stored })
    .where("organization_id", "=", made.id)
    .execute();
  const purchase = await buyWaiting(backend, made.id);
  return { id: made.id, purchase, address: origin + addressOf(purchase) };
}

const title = (page: Page) => page.locator("h1").innerText();

const press = (page: Page, name: string) => page.getByRole("button", { name }).click();

const follow = async (page: Page, name: string) => {
  await page.getByRole("link", { name }).click();
  expect(new URL(page.url()).origin).toBe(elsewhere);
};

const enterCard = async (page: Page, card: string) => {
  await press(page, "by card");
  await follow(page, "Enter the card");
  await press(page, card);
};

async function expectPaidOnce({ id, purchase }: Waiting): Promise<void> {
  expect((await read(backend, id, purchase.id)).status).toBe("succeeded");
  expect(backend.captures().filter(({ purchaseId }) => purchaseId === purchase.id)).toHaveLength(1);
  await expectInvariants(backend, id, 25);
}

describe("the payment page of a provider with customers, in a browser without JavaScript", () => {
  test("pays with a first card, entered on the provider's page", async () => {
    const made = await waiting();
    const page = await openTab(browser);
    const requests = requestsOf(page);
    await page.goto(made.address);
    await enterCard(page, "card_ok");
    expect([page.url(), await title(page)]).toEqual([made.address, "Payment received"]);
    await page.reload();
    expect(await title(page)).toBe("Payment received");
    expect(new Set(requests.map((address) => new URL(address).origin))).toEqual(new Set([origin, elsewhere]));
    await expectPaidOnce(made);
    await page.context().close();
  });

  test("pays with the stored card once the bank has approved it", async () => {
    const made = await waiting("card_requires_approval");
    const page = await openTab(browser);
    await page.goto(made.address);
    await press(page, "Pay £244.10");
    await follow(page, "Approve at your bank");
    await press(page, "approve");
    expect(await title(page)).toBe("Payment received");
    await expectPaidOnce(made);
    await page.context().close();
  });

  test("shows that the bank refused, and pays with another card, from the address with the bank's parameters", async () => {
    const made = await waiting("card_requires_approval");
    const page = await openTab(browser);
    await page.goto(made.address);
    await press(page, "Pay £244.10");
    await follow(page, "Approve at your bank");
    await press(page, "refuse");
    expect(page.url()).toContain("payment_intent_client_secret");
    expect(await page.getByRole("alert").innerText()).toMatch(/^The bank did not approve the payment\./);
    await press(page, "Pay with another card");
    expect(page.url()).toBe(made.address);
    await follow(page, "Enter the card");
    await press(page, "card_ok");
    expect(await title(page)).toBe("Payment received");
    await expectPaidOnce(made);
    await page.context().close();
  });

  test("pays with a card that the bank asks about, after one that was declined", async () => {
    const made = await waiting();
    const page = await openTab(browser);
    await page.goto(made.address);
    await enterCard(page, "card_declined");
    expect(await page.getByRole("alert").innerText()).toMatch(/^The bank declined the card\. Nothing was charged\./);
    await enterCard(page, "card_requires_approval");
    await follow(page, "Approve at your bank");
    await press(page, "approve");
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
    await press(one, "card_ok");
    await press(two, "card_ok");
    for (const page of [one, two]) expect(await title(page)).toBe("Payment received");
    await one.goBack();
    await one.goBack();
    expect([one.url(), await title(one)]).toEqual([made.address, "Payment received"]);
    await expectPaidOnce(made);
    for (const page of [one, two]) await page.context().close();
  });

  test("cancels with the bank's page still open, which then charges nothing", async () => {
    const made = await waiting("card_requires_approval");
    const [one, two] = [await openTab(browser), await openTab(browser)];
    await one.goto(made.address);
    await press(one, "Pay £244.10");
    await follow(one, "Approve at your bank");
    await two.goto(made.address);
    await two.getByRole("link", { name: "Cancel purchase" }).click();
    await press(two, "Cancel purchase");
    expect(await title(two)).toBe("The purchase was canceled");
    await press(one, "approve");
    expect(await title(one)).toBe("The purchase was canceled");
    expect(backend.captures().filter(({ purchaseId }) => purchaseId === made.purchase.id)).toEqual([]);
    await expectInvariants(backend, made.id, 25);
    for (const page of [one, two]) await page.context().close();
  });

  test("is used by keyboard alone", async () => {
    const made = await waiting("card_requires_approval");
    const page = await openTab(browser);
    await page.goto(made.address);
    await page.keyboard.press("Tab");
    expect(await page.locator(":focus").innerText()).toBe("Pay £244.10");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "Approve at your bank" }).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "approve" }).waitFor();
    expect(new URL(page.url()).origin).toBe(elsewhere);
    await page.context().close();
  });
});

describe.each([
  ["light", false],
  ["dark", true],
])("in %s", (_theme, dark) => {
  const STEPS: Record<string, [string | null, (page: Page) => Promise<void>]> = {
    "no stored card": [null, async () => {}],
    "a stored card": ["card_requires_approval", async () => {}],
    "a card to enter": [null, (page) => press(page, "by card")],
    "at the bank": ["card_requires_approval", (page) => press(page, "Pay £244.10")],
  };

  test.each(Object.entries(STEPS))("%s: passes axe and fits 320 pixels", async (_step, [card, go]) => {
    const made = await waiting(card);
    const page = await openTab(browser, { dark, width: 320, javaScript: true });
    await page.goto(made.address);
    await go(page);
    expect(await title(page)).toBe("Pay for 5 licenses");
    expect(await violations(page)).toEqual([]);
    expect(await overflow(page)).toBe(0);
    await page.context().close();
  });
});
