import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { sweep } from "../../src/backend/sweep.ts";
import type { Purchase } from "../../src/contract/billing.ts";
import { NOON, organization, startBackend, type TestBackend } from "../backend/support/backend.ts";
import { expectInvariants } from "../backend/support/invariants.ts";
import { buyWaiting, read } from "../backend/support/paying.ts";
import { onlyRenewal, openSubscription, setClock } from "../backend/support/renewing.ts";
import { expectAccessible, openTab, requestsOf, startBrowser } from "../support/browser.ts";

const LONG_NAME = "Northwind Laboratories for Wonderfully Long Organization-Names-Without-Any-Space-In-Between Ltd";

let browser: Browser;

let backend: TestBackend;

let origin: string;

beforeAll(async () => {
  browser = await startBrowser();
  backend = await startBackend();
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

/** Makes a purchase that waits for approval; returns it with the address of its page. */
async function waiting(paymentMethod: string | null = "card_requires_approval", name = LONG_NAME): Promise<Waiting> {
  const made = organization({ paymentMethod, name });
  await backend.addOrganization(made);
  const purchase = await buyWaiting(backend, made.id);
  return { id: made.id, purchase, address: origin + new URL(purchase.nextAction?.url ?? "").pathname };
}

const title = (page: Page) => page.locator("h1").innerText();

const statusOf = async ({ id, purchase }: Waiting) => (await read(backend, id, purchase.id)).status;

const chooseAndPay = async (page: Page, card: string) => {
  await page.getByLabel("Pay with").selectOption(card);
  await page.getByRole("button", { name: "Pay £244.10" }).click();
};

/** Walks through the page up to a step. */
const STEPS = {
  ask: async (page: Page, { address }: Waiting) => void (await page.goto(address)),
  declined: async (page: Page, made: Waiting) => {
    await page.goto(made.address);
    await chooseAndPay(page, "card_insufficient_funds");
  },
  paid: async (page: Page, made: Waiting) => {
    await page.goto(made.address);
    await chooseAndPay(page, "card_ok");
  },
  canceled: async (page: Page, made: Waiting) => {
    await STEPS["cancel asked"](page, made);
    await page.getByRole("button", { name: "Cancel purchase" }).click();
  },
  "cancel asked": async (page: Page, made: Waiting) => {
    await page.goto(made.address);
    await page.getByRole("link", { name: "Cancel purchase" }).click();
  },
  receipt: async (page: Page, made: Waiting) => {
    await STEPS.paid(page, made);
    await page.getByRole("link", { name: "Show the receipt" }).click();
  },
  processing: async (page: Page, made: Waiting) => {
    await page.goto(made.address);
    // The machine's time does not pass here, so that the payment goes on being processed until the test lets it.
    const paying = chooseAndPay(page, "card_processing");
    const looking = await openTab(browser);
    await expect
      .poll(
        async () => {
          await looking.goto(made.address);
          return title(looking);
        },
        { timeout: 10_000 },
      )
      .toBe("The payment is being processed");
    await looking.context().close();
    await page.goto(made.address);
    await paying.catch(() => undefined);
  },
  "not found": async (page: Page, { address }: Waiting) => void (await page.goto(`${address}x`)),
} satisfies Record<string, (page: Page, made: Waiting) => Promise<void>>;

const TITLES: Readonly<Record<keyof typeof STEPS, string>> = {
  ask: "Pay for 5 licenses",
  declined: "Pay for 5 licenses",
  paid: "Payment received",
  canceled: "The purchase was canceled",
  "cancel asked": "Cancel this purchase?",
  receipt: "Receipt",
  processing: "The payment is being processed",
  "not found": "Page not found",
};

describe("the payment page in a browser without JavaScript", () => {
  test("pays by keyboard alone", async () => {
    const made = await waiting();
    const page = await openTab(browser);
    const requests = requestsOf(page);
    await page.goto(made.address);
    await page.keyboard.press("Tab");
    expect(await page.locator(":focus").getAttribute("name")).toBe("card");
    await page.keyboard.press("Tab");
    expect(await page.locator(":focus").innerText()).toBe("Pay £244.10");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Payment received" }).waitFor();
    expect(await page.locator("main").innerText()).toContain(`${made.id}-000001`);
    expect(await statusOf(made)).toBe("succeeded");
    expect(requests.map((address) => new URL(address).origin)).toEqual(requests.map(() => origin));
    await expectInvariants(backend, made.id, 25);
    await page.context().close();
  });

  test("shows why a card was declined, and another one pays", async () => {
    const made = await waiting("card_requires_approval", "Northwind Labs");
    const page = await openTab(browser);
    await STEPS.declined(page, made);
    expect(await page.getByRole("alert").innerText()).toBe(
      "The card has insufficient funds. Nothing was charged. Choose another card, or try again.",
    );
    await chooseAndPay(page, "card_ok");
    expect(await title(page)).toBe("Payment received");
    await page.reload();
    expect(await title(page)).toBe("Payment received");
    await expectInvariants(backend, made.id, 25);
    await page.context().close();
  });

  test("requires an organization without a card to choose one", async () => {
    const made = await waiting(null, "Northwind Labs");
    const page = await openTab(browser);
    await page.goto(made.address);
    await page.getByRole("button", { name: "Pay £244.10" }).click();
    expect(await title(page)).toBe("Pay for 5 licenses");
    expect(await statusOf(made)).toBe("requires_approval");
    await chooseAndPay(page, "card_ok");
    expect(await title(page)).toBe("Payment received");
    await page.context().close();
  });

  test("shows the amount due with tax for an unpaid renewal, and a deadline that never moves", async () => {
    onTestFinished(() => setClock(backend, NOON));
    const id = await openSubscription(backend, {}, { paymentMethod: "card_declined" });
    const page = await openTab(browser);
    for (const [date, deadline] of [
      ["2027-03-01", "Pay until\tMarch 15, 2027 at 12:00 AM GMT, or the subscription is suspended"],
      ["2027-03-09", "Pay until\tMarch 15, 2027 at 12:00 AM GMT, or the subscription is suspended"],
      ["2027-03-20", "Was due\tMarch 15, 2027 at 12:00 AM GMT; the subscription is suspended until this is paid"],
    ] as const) {
      setClock(backend, `${date}T12:00:00Z`);
      await sweep(backend.deps);
      const { nextAction } = await onlyRenewal(backend, id);
      await page.goto(origin + new URL(nextAction?.url ?? "").pathname);
      expect(await title(page)).toBe("Pay the renewal of 25 licenses");
      const facts = await page.locator("dl").innerText();
      expect(facts.replaceAll("\u00a0", " ").replaceAll(/\s*\n+\s*/g, "\t")).toContain(
        `Subtotal\t£3,750.00\tTax (20%)\t£750.00\tDue now\t£4,500.00\t${deadline}`,
      );
    }
    await page.context().close();
  });

  test("cancels, even without a chosen card", async () => {
    const made = await waiting(null);
    const page = await openTab(browser);
    await STEPS.canceled(page, made);
    expect(await title(page)).toBe("The purchase was canceled");
    expect(await statusOf(made)).toBe("failed");
    await expectInvariants(backend, made.id, 25);
    await page.context().close();
  });

  test("stacks labels and values on a phone, keeps amounts beside their labels, and prints the amount due in bold", async () => {
    const made = await waiting(undefined, "Northwind Labs");
    for (const [width, isStacked] of [
      [390, true],
      [768, false],
    ] as const) {
      const page = await openTab(browser, { width, javaScript: true });
      await page.goto(made.address);
      const boxesOf = async (label: string) => {
        const row = page.locator("dl > div", { has: page.locator("dt", { hasText: label }) });
        const [name, value] = [row.locator("dt"), row.locator("dd")];
        const weight = await name.evaluate((element) => getComputedStyle(element).fontWeight);
        return { name: await name.boundingBox(), value: await value.boundingBox(), weight };
      };
      for (const label of ["Bought by", "Term", "Pay until"]) {
        const { name, value } = await boxesOf(label);
        expect([label, (value?.y ?? 0) >= (name?.y ?? 0) + (name?.height ?? 0)]).toEqual([label, isStacked]);
      }
      const { name, value, weight } = await boxesOf("Due now");
      expect([value?.y, weight]).toEqual([name?.y, "700"]);
      const select = page.getByLabel("Pay with");
      expect(await select.evaluate((element) => getComputedStyle(element).textOverflow)).toBe("ellipsis");
      expect(await select.evaluate((element: HTMLSelectElement) => element.selectedOptions[0]?.text)).toMatch(
        /^Stored: /,
      );
      await page.context().close();
    }
  });

  test("pays once from two windows", async () => {
    const made = await waiting();
    const [one, two] = [await openTab(browser), await openTab(browser)];
    for (const page of [one, two]) await page.goto(made.address);
    await Promise.all([one, two].map((page) => chooseAndPay(page, "card_ok")));
    for (const page of [one, two]) expect(await title(page)).toBe("Payment received");
    await expectInvariants(backend, made.id, 25);
    for (const page of [one, two]) await page.context().close();
  });

  test("ignores a form sent by another site", async () => {
    const made = await waiting();
    const page = await openTab(browser);
    await page.goto(made.address);
    const token = await page.locator("input[name=form]").getAttribute("value");
    await page.route("http://evil.example/", (route) =>
      route.fulfill({
        contentType: "text/html",
        body: `<form method="post" action="${made.address}"><input name="form" value="${token}"><button name="action" value="pay">Win</button></form>`,
      }),
    );
    await page.goto("http://evil.example/");
    await page.getByRole("button", { name: "Win" }).click();
    expect(await page.getByRole("alert").innerText()).toContain("another site");
    expect(await statusOf(made)).toBe("requires_approval");
    await page.context().close();
  });
});

describe("the payment page, in light and in dark", () => {
  test.each(Object.keys(STEPS) as (keyof typeof STEPS)[])("%s: passes axe and fits 320 pixels", async (step) => {
    const made = await waiting();
    const page = await openTab(browser, { javaScript: true });
    await STEPS[step](page, made);
    expect((await title(page)).replace(/ \d+-\d+$/, "")).toBe(TITLES[step]);
    await expectAccessible(page);
    await page.context().close();
    backend.clocks.machine += 10_000;
  });
});
