import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LEASE_MS, makeDue } from "../../../src/backend/purchases/leases.ts";
import { sweep } from "../../../src/backend/sweep.ts";
import type { Purchase } from "../../../src/contract/billing.ts";
import { hiddenFields } from "../../support/paymentPage.ts";
import { buy, organization, startBackend, type TestBackend } from "../support/backend.ts";
import { type CardPage, type CardProvider, useCardProvider } from "../support/cardProvider.ts";
import { expectInvariants } from "../support/invariants.ts";
import { addressOf, buyWaiting, look, type PageAnswer, post, read, send } from "../support/paying.ts";
import { onlyRenewal, receiptOf, setClock } from "../support/renewing.ts";
import { DIALECTS } from "../support/stores.ts";

const MINUTE_MS = 60_000;

const PAID = "Payment received";

describe.each(DIALECTS)("the payment page of a provider with customers, on %s", (dialect) => {
  let backend: TestBackend;
  let provider: CardProvider;

  beforeEach(async () => {
    backend = await startBackend(dialect);
    provider = useCardProvider(backend);
  });
  afterEach(() => backend.close());

  const open = async (card: string | null) => {
    const made = organization({ paymentMethod: null });
    await backend.addOrganization(made);
    await store(made.id, card);
    return made.id;
  };
  const store = async (id: number, card: string | null) => {
    const customer = `cus_${id}`;
    const method = card === null ? null : provider.save(customer, card);
    const label = card === null ? null : `Card ${card}`;
    await backend.deps.database
      .updateTable("subscriptions")
      .set({ customer_id: customer, payment_method: method, payment_method_label: label })
      .where("organization_id", "=", id)
      .execute();
    return method ?? "";
  };
  /** A purchase that waits: nothing is stored, or what is stored needs the person. */
  const waiting = async (card: string | null = null) => {
    const id = await open(card);
    const purchase = await buyWaiting(backend, id);
    return { id, purchase, address: addressOf(purchase) };
  };
  /** Presses a button as a browser does. */
  const press = async (address: string, action: "pay" | "enter_card" | "cancel") => {
    const answer = await post(backend, address, { ...hiddenFields(await look(backend, address)), action });
    return answer.status === 303 ? look(backend, address) : answer;
  };
  const linkOf = ({ html }: PageAnswer, text: string) =>
    new RegExp(`<a class="button" href="([^"]*)">${text}</a>`).exec(html)?.[1] ?? null;
  const enterCard = async (address: string): Promise<CardPage> => {
    const url = linkOf(await press(address, "enter_card"), "Enter the card");
    const page = provider.pages.at(-1);
    if (page === undefined) throw new TypeError("No page was opened");
    expect(url).toBe(`https://provider.test/card/${page.id}`);
    return page;
  };
  const rowOf = (purchase: Pick<Purchase, "id">) =>
    backend.deps.database.selectFrom("purchases").selectAll().where("id", "=", purchase.id).executeTakeFirstOrThrow();
  const paymentOf = async (purchase: Pick<Purchase, "id">) => (await rowOf(purchase)).payment_id ?? "";
  const statusOf = async (id: number, purchase: Purchase) => (await read(backend, id, purchase.id)).status;
  const later = async (ms: number) => {
    setClock(backend, backend.clocks.billing + ms);
    await sweep(backend.deps);
  };
  /** What a webhook does. */
  const hear = async (id: number, purchase: Pick<Purchase, "id">) => {
    await makeDue(backend.deps.database, { organization_id: id, id: purchase.id }, backend.clocks.billing);
    await later(1);
  };
  const expectPaidOnce = async (id: number, purchase: Purchase) => {
    expect(await statusOf(id, purchase)).toBe("succeeded");
    expect(backend.captures().filter(({ purchaseId }) => purchaseId === purchase.id)).toHaveLength(1);
    await expectInvariants(backend, id, 25);
  };
  /** Another instance is at the purchase, and then is gone. */
  const expectNotAskedWhileLeased = async (purchase: Pick<Purchase, "id">, address: string) => {
    const lease = { lease_until: backend.clocks.machine + 2 * LEASE_MS };
    await backend.deps.database.updateTable("purchases").set(lease).where("id", "=", purchase.id).execute();
    const time = setInterval(() => {
      backend.clocks.machine += 250;
    }, 10);
    const { html } = await look(backend, address);
    clearInterval(time);
    expect(html).toContain("The payment is being processed");
    expect(html).not.toContain("<button");
    backend.clocks.machine += 2 * LEASE_MS;
    expect((await look(backend, address)).html).toContain(PAID);
  };
  const expectNothingMoved = async (id: number) => {
    expect(backend.captures()).toEqual([]);
    await expectInvariants(backend, id, 25);
  };

  describe("asks for a card on a page of the provider", () => {
    test("the first one pays the same payment, is on the receipt, and is stored", async () => {
      const { id, purchase, address } = await waiting();
      const asked = await look(backend, address);
      expect(asked.html).toContain(
        "No payment method is stored yet. The card you pay with is stored for future payments.",
      );
      expect([...asked.html.matchAll(/<button[^>]*>([^<]*)/g)].map(([, text]) => text)).toEqual([
        "Pay £244.10 by card",
      ]);
      expect(asked.html).not.toMatch(/<select|<script/);
      const before = await paymentOf(purchase);
      const page = await enterCard(address);
      expect(page).toMatchObject({
        key: `${purchase.id}:setup:1`,
        customer: `cus_${id}`,
        returnUrl: purchase.nextAction?.url,
      });
      expect(linkOf(await look(backend, address), "Enter the card")).toContain(page.id);
      await expectNothingMoved(id);
      provider.enter(page, "card_ok");
      expect((await look(backend, address)).html).toContain(PAID);
      expect(provider.attempts).toMatchObject([
        {
          idempotencyKey: `${purchase.id}:confirm:1`,
          paymentId: before,
          approvedByPerson: true,
          returnUrl: purchase.nextAction?.url,
        },
      ]);
      expect((await receiptOf(backend, id, purchase.id)).paymentMethod).toMatchObject({
        label: "Visa ending in 4242 (test card)",
      });
      await expectPaidOnce(id, purchase);
      expect((await buy(backend, id, 1, "second")).body).toMatchObject({ status: "succeeded" });
    });

    test("another one pays once, and the stored one stays", async () => {
      const { id, purchase, address } = await waiting("card_requires_approval");
      expect((await look(backend, address)).html).toContain("Stored payment method: Card card_requires_approval");
      provider.enter(await enterCard(address), "card_ok");
      await look(backend, address);
      await expectPaidOnce(id, purchase);
      const { html } = await look(backend, `${address}/receipt`);
      expect(html).toContain("Visa ending in 4242");
      const { body } = await buy(backend, id, 1, "next");
      expect(body.status).toBe("requires_approval");
    });

    test("one that is declined: the page says why, and asks again", async () => {
      const { id, purchase, address } = await waiting();
      provider.enter(await enterCard(address), "card_insufficient_funds");
      const { html } = await look(backend, address);
      expect(html).toContain(
        "The card has insufficient funds. Nothing was charged. Choose another card, or try again.",
      );
      await expectNothingMoved(id);
      const second = await enterCard(address);
      expect(second.key).toBe(`${purchase.id}:setup:2`);
      provider.enter(second, "card_ok");
      expect((await look(backend, address)).html).toContain(PAID);
      await expectPaidOnce(id, purchase);
    });

    test("one that the bank asks about: the page links to the bank", async () => {
      const { id, purchase, address } = await waiting();
      provider.enter(await enterCard(address), "card_requires_approval");
      expect(linkOf(await look(backend, address), "Approve at your bank")).toBe(
        `https://provider.test/bank/${await paymentOf(purchase)}`,
      );
      await provider.decide(await paymentOf(purchase), true);
      expect((await look(backend, address)).html).toContain(PAID);
      await expectPaidOnce(id, purchase);
    });

    test.each([
      ["a webhook names the purchase", (id: number, purchase: Purchase) => hear(id, purchase)],
      ["that page would have expired", () => later(62 * MINUTE_MS)],
    ])("and the person never comes back: it is paid once %s", async (_name, happen) => {
      const { id, purchase, address } = await waiting();
      provider.enter(await enterCard(address), "card_ok");
      expect(await statusOf(id, purchase)).toBe("requires_approval");
      await happen(id, purchase);
      await expectPaidOnce(id, purchase);
      expect((await look(backend, address)).html).toContain(PAID);
    });

    test("while the stored one is declined: it is paid once that page would have expired", async () => {
      const { id, purchase, address } = await waiting();
      const fields = hiddenFields(await look(backend, address));
      const page = await enterCard(address);
      await store(id, "card_declined");
      expect((await post(backend, address, { ...fields, action: "pay" })).html).toContain("Nothing was charged");
      provider.enter(page, "card_ok");
      await later(62 * MINUTE_MS);
      await expectPaidOnce(id, purchase);
    });

    test("and has one while the stored one is being declined: a webhook that says so is not lost", async () => {
      const { id, purchase, address } = await waiting();
      const fields = hiddenFields(await look(backend, address));
      const page = await enterCard(address);
      await store(id, "card_declined");
      const { confirm } = backend.deps.gateway;
      backend.deps.gateway.confirm = async (...given) => {
        backend.deps.gateway.confirm = confirm;
        provider.enter(page, "card_ok");
        backend.clocks.billing += 1_000;
        await makeDue(backend.deps.database, await rowOf(purchase), backend.clocks.billing);
        provider.loseAnswer("readCardEntry");
        return confirm(...given);
      };
      await post(backend, address, { ...fields, action: "pay" });
      expect(await statusOf(id, purchase)).toBe("requires_approval");
      await later(1);
      await expectPaidOnce(id, purchase);
    });

    test("in two tabs: there is one page, and it pays once", async () => {
      const { id, purchase, address } = await waiting();
      const tabs = [await look(backend, address), await look(backend, address)].map(hiddenFields);
      await Promise.all(tabs.map((fields) => post(backend, address, { ...fields, action: "enter_card" })));
      const [page, ...more] = provider.pages;
      expect(more).toEqual([]);
      provider.enter(page as CardPage, "card_ok");
      const time = setInterval(() => {
        backend.clocks.machine += 500;
      }, 20);
      await Promise.all([1, 2, 3, 4].map(() => look(backend, address)));
      clearInterval(time);
      expect((await look(backend, address)).html).toContain(PAID);
      expect(provider.attempts).toHaveLength(1);
      await expectPaidOnce(id, purchase);
    });

    test.each([
      ["is entered", async (_purchase: Purchase, page: CardPage) => provider.enter(page, "card_ok")],
      [
        "is approved at the bank",
        async (purchase: Purchase, page: CardPage) => {
          provider.enter(page, "card_requires_approval");
          await look(backend, addressOf(purchase));
          await provider.decide(await paymentOf(purchase), true);
        },
      ],
    ])("and another instance is at it when the card %s: nobody is asked to pay again", async (_name, happen) => {
      const { id, purchase, address } = await waiting();
      await happen(purchase, await enterCard(address));
      await expectNotAskedWhileLeased(purchase, address);
      await expectPaidOnce(id, purchase);
    });

    test("and the person goes back to an old form: it shows the payment", async () => {
      const { id, purchase, address } = await waiting();
      const fields = hiddenFields(await look(backend, address));
      provider.enter(await enterCard(address), "card_ok");
      for (const action of ["enter_card", "pay", "enter_card"]) {
        expect((await post(backend, address, { ...fields, action })).html).toContain(PAID);
      }
      expect(provider.pages).toHaveLength(1);
      await expectPaidOnce(id, purchase);
    });

    test("and that page expires: the next one has another key", async () => {
      const { id, purchase, address } = await waiting();
      const first = await enterCard(address);
      first.status = "expired";
      const { status, html } = await look(backend, address);
      expect([status, linkOf({ status, html }, "Enter the card")]).toEqual([200, null]);
      expect(await rowOf(purchase)).toMatchObject({ state: "requires_approval", card_entry: null });
      const second = await enterCard(address);
      expect(second.key).toBe(`${purchase.id}:setup:2`);
      provider.enter(second, "card_ok");
      await look(backend, address);
      await expectPaidOnce(id, purchase);
    });

    test.each([{ customer: "cus_other" }, { mode: "live" }] as const)(
      "and has one of another %o: it is not charged",
      async (changes) => {
        const { id, purchase, address } = await waiting();
        const page = await enterCard(address);
        provider.enter(page, "card_ok");
        provider.misreport(page, changes);
        expect((await look(backend, address)).html).toContain("Pay £244.10 by card");
        await hear(id, purchase);
        expect(await rowOf(purchase)).toMatchObject({ state: "requires_approval", card_entry: null });
        await expectNothingMoved(id);
      },
    );

    test("of which only the purchase's own counts, whatever the address names", async () => {
      const one = await waiting();
      const other = await waiting();
      const page = await enterCard(one.address);
      provider.enter(page, "card_ok");
      const { html } = await look(backend, `${other.address}?session_id=${page.id}`);
      expect(html).toContain("Pay £244.10 by card");
      await expectNothingMoved(other.id);
    });

    test("and the purchase is canceled meanwhile: nothing is charged", async () => {
      const { id, purchase, address } = await waiting();
      const page = await enterCard(address);
      await send(backend, id, purchase.id, "cancel");
      provider.enter(page, "card_ok");
      expect((await look(backend, address)).html).toContain("The purchase was canceled");
      await hear(id, purchase);
      expect(await statusOf(id, purchase)).toBe("failed");
      await expectNothingMoved(id);
    });

    test("and the time to pay ends meanwhile: nothing is charged", async () => {
      const { id, purchase, address } = await waiting();
      const page = await enterCard(address);
      backend.clocks.billing += 24 * 60 * MINUTE_MS;
      provider.enter(page, "card_ok");
      expect((await look(backend, address)).status).toBe(410);
      await hear(id, purchase);
      expect((await rowOf(purchase)).state).toBe("expired");
      await expectNothingMoved(id);
    });

    test.each(["startCardEntry", "readCardEntry"] as const)(
      "and does not answer %s: the page says so",
      async (call) => {
        const { id, purchase, address } = await waiting();
        if (call === "readCardEntry") await enterCard(address);
        const fields = hiddenFields(await look(backend, address));
        provider.loseAnswer(call);
        const failed = await post(backend, address, { ...fields, action: "enter_card" });
        expect([failed.status, failed.html.includes("did not answer")]).toEqual([503, true]);
        const page = await enterCard(address);
        expect([page.key, provider.pages.length]).toEqual([`${purchase.id}:setup:1`, 1]);
        provider.enter(page, "card_ok");
        provider.loseAnswer("readCardEntry");
        const { status, html } = await look(backend, address);
        expect([status, html.includes("Load this page again before you pay")]).toEqual([503, true]);
        expect((await look(backend, address)).html).toContain(PAID);
        await expectPaidOnce(id, purchase);
      },
    );

    test("and a crash comes before its page is saved (B14): the same page is opened", async () => {
      const { id, purchase, address } = await waiting();
      const fields = hiddenFields(await look(backend, address));
      backend.crashAt("B14");
      expect((await post(backend, address, { ...fields, action: "enter_card" })).status).toBe(500);
      expect(provider.pages).toHaveLength(1);
      const page = await enterCard(address);
      expect(provider.pages).toHaveLength(1);
      provider.enter(page, "card_ok");
      await look(backend, address);
      await expectPaidOnce(id, purchase);
    });

    test.each(["B15", "B6", "B7", "B8"])("and a crash comes at %s: it is paid once", async (point) => {
      const { id, purchase, address } = await waiting();
      provider.enter(await enterCard(address), "card_ok");
      backend.crashAt(point);
      await Promise.race([look(backend, address), expect.poll(() => backend.log.join()).toContain(point)]);
      await later(MINUTE_MS);
      expect((await look(backend, address)).html).toContain(PAID);
      await expectPaidOnce(id, purchase);
    });

    test("but a spending limit of the new month stands in the way: the page says so", async () => {
      const made = organization({ paymentMethod: null });
      const [token] = made.tokens;
      await backend.addOrganization({
        ...made,
        tokens: token ? [{ ...token, spendLimit: { amount: 30_000, licenses: 10 } }] : [],
      });
      await store(made.id, null);
      setClock(backend, "2026-11-30T20:00:00Z");
      const waits = await buyWaiting(backend, made.id);
      const page = await enterCard(addressOf(waits));
      setClock(backend, "2026-12-01T10:00:00Z");
      const method = await store(made.id, "card_ok");
      expect((await buy(backend, made.id, 5, "second")).body).toMatchObject({ status: "succeeded" });
      expect(method).not.toBe("");
      provider.enter(page, "card_ok");
      const { html } = await look(backend, addressOf(waits));
      expect(html).toContain('role="alert"');
      expect(await rowOf(waits)).toMatchObject({ failure_code: "spend_limit_exceeded", card_entry: null });
      expect(backend.captures()).toHaveLength(1);
      await expectInvariants(backend, made.id, 25);
    });
  });

  describe("leads to the bank for the stored card", () => {
    const atBank = async () => {
      const made = await waiting("card_requires_approval");
      const page = await press(made.address, "pay");
      const paymentId = await paymentOf(made.purchase);
      expect([page.status, linkOf(page, "Approve at your bank")]).toEqual([
        200,
        `https://provider.test/bank/${paymentId}`,
      ]);
      expect(page.html).not.toContain('role="alert"');
      return { ...made, paymentId };
    };

    test("and back: the page shows that it was approved", async () => {
      const { id, purchase, address, paymentId } = await atBank();
      expect(linkOf(await look(backend, address), "Approve at your bank")).not.toBeNull();
      const back = new URL(await provider.decide(paymentId, true));
      expect(back.pathname).toBe(address);
      expect((await look(backend, back.pathname + back.search)).html).toContain(PAID);
      await expectPaidOnce(id, purchase);
    });

    test("and back: the page shows that it was not, and another card pays", async () => {
      const { id, purchase, address, paymentId } = await atBank();
      await provider.decide(paymentId, false);
      for (const _look of [1, 2]) {
        const page = await look(backend, address);
        expect(page.html).toContain("The bank did not approve the payment. Nothing was charged.");
        expect(linkOf(page, "Approve at your bank")).toBeNull();
      }
      await expectNothingMoved(id);
      provider.enter(await enterCard(address), "card_ok");
      expect((await look(backend, address)).html).toContain(PAID);
      await expectPaidOnce(id, purchase);
    });

    test.each([
      ["a webhook", (id: number, purchase: Purchase) => hear(id, purchase)],
      ["the schedule", () => later(6 * MINUTE_MS)],
    ])("and not back: %s shows that it was approved", async (_name, happen) => {
      const { id, purchase, paymentId } = await atBank();
      await provider.decide(paymentId, true);
      await happen(id, purchase);
      await expectPaidOnce(id, purchase);
    });

    test("and the purchase is canceled meanwhile: the bank cannot approve it any more", async () => {
      const { id, purchase, address, paymentId } = await atBank();
      expect((await press(address, "cancel")).html).toContain("The purchase was canceled");
      await provider.decide(paymentId, true);
      await hear(id, purchase);
      await expectNothingMoved(id);
    });

    test("and it is approved while another card is chosen: the receipt names the card that was charged", async () => {
      const { id, purchase, address, paymentId } = await atBank();
      const fields = hiddenFields(await look(backend, address));
      await store(id, "card_ok");
      await provider.decide(paymentId, true);
      expect((await post(backend, address, { ...fields, action: "pay" })).html).toContain(PAID);
      expect(provider.attempts).toHaveLength(2);
      await expectPaidOnce(id, purchase);
      expect((await receiptOf(backend, id, purchase.id)).paymentMethod?.label).toContain("ending in 3220");
    });
  });

  describe("whose stored card was removed at the provider", () => {
    test("before the purchase: a person is asked for another one", async () => {
      const id = await open("card_ok");
      provider.detach((await subscription(id)).payment_method ?? "");
      const purchase = await buyWaiting(backend, id);
      expect(await rowOf(purchase)).toMatchObject({ payment_method: null, failure_code: null });
      provider.enter(await enterCard(addressOf(purchase)), "card_ok");
      expect((await look(backend, addressOf(purchase))).html).toContain(PAID);
      await expectPaidOnce(id, purchase);
    });

    test("before it is charged: the page says so, and another one pays", async () => {
      const { id, purchase, address } = await waiting("card_requires_approval");
      provider.detach((await subscription(id)).payment_method ?? "");
      const page = await press(address, "pay");
      expect([page.status, page.html.includes("The card is no longer available. Nothing was charged.")]).toEqual([
        402,
        true,
      ]);
      expect(await statusOf(id, purchase)).toBe("requires_approval");
      provider.enter(await enterCard(address), "card_ok");
      await look(backend, address);
      await expectPaidOnce(id, purchase);
    });

    test("before a renewal: it is declined", async () => {
      const id = await open("card_ok");
      provider.detach((await subscription(id)).payment_method ?? "");
      setClock(backend, "2027-03-01T12:00:00Z");
      await sweep(backend.deps);
      expect(await onlyRenewal(backend, id)).toMatchObject({
        status: "failed",
        failure: { code: "no_payment_method" },
      });
      await expectNothingMoved(id);
    });
  });

  const subscription = (id: number) =>
    backend.deps.database
      .selectFrom("subscriptions")
      .selectAll()
      .where("organization_id", "=", id)
      .executeTakeFirstOrThrow();

  describe("of a renewal", () => {
    const declined = async () => {
      const id = await open("card_requires_approval");
      setClock(backend, "2027-03-01T12:00:00Z");
      await sweep(backend.deps);
      const renewal = await onlyRenewal(backend, id);
      expect(renewal).toMatchObject({ status: "failed", failure: { code: "authentication_required" } });
      return { id, renewal, address: addressOf(renewal) };
    };
    const atBank = async () => {
      const made = await declined();
      const page = await press(made.address, "pay");
      expect([page.status, linkOf(page, "Approve at your bank")]).toEqual([
        200,
        `https://provider.test/bank/${await paymentOf(made.renewal)}`,
      ]);
      return made;
    };

    test("leads to the bank and back", async () => {
      const { id, renewal, address } = await atBank();
      await provider.decide(await paymentOf(renewal), true);
      expect((await look(backend, address)).html).toContain(PAID);
      await expectPaidOnce(id, renewal);
    });

    test("that the bank approved while another instance is at it is not asked for again", async () => {
      const { id, renewal, address } = await atBank();
      await provider.decide(await paymentOf(renewal), true);
      await expectNotAskedWhileLeased(renewal, address);
      await expectPaidOnce(id, renewal);
    });

    test("leads to the bank, and a webhook shows the approval before the next retry", async () => {
      const { id, renewal } = await atBank();
      await provider.decide(await paymentOf(renewal), true);
      await hear(id, renewal);
      await expectPaidOnce(id, renewal);
      expect((await subscription(id)).unpaid_renewal).toBeNull();
    });

    test("is not retried because of a webhook, but on its schedule", async () => {
      const { id, renewal } = await atBank();
      await provider.decide(await paymentOf(renewal), false);
      const before = await rowOf(renewal);
      const attempts = provider.attempts.length;
      await hear(id, renewal);
      expect([provider.attempts.length, (await rowOf(renewal)).next_check_at]).toEqual([
        attempts,
        before.next_check_at,
      ]);
      setClock(backend, before.next_check_at ?? 0);
      await sweep(backend.deps);
      expect(provider.attempts).toHaveLength(attempts + 1);
      expect(provider.attempts.at(-1)).toMatchObject({ approvedByPerson: false, returnUrl: null });
    });

    test("shows that the bank did not approve it", async () => {
      const { renewal, address } = await atBank();
      await provider.decide(await paymentOf(renewal), false);
      expect((await look(backend, address)).html).toContain("The bank did not approve the payment.");
    });

    test.each([
      ["the person comes back", (made: { address: string }) => look(backend, made.address)],
      ["a webhook names it", (made: { id: number; renewal: Purchase }) => hear(made.id, made.renewal)],
    ])("is paid with another card once %s", async (_name, happen) => {
      const made = await declined();
      provider.enter(await enterCard(made.address), "card_ok");
      await happen(made);
      await expectPaidOnce(made.id, made.renewal);
    });
  });

  test("pays a declined purchase with another card", async () => {
    const id = await open("card_declined");
    const { status, body } = await buy(backend, id, 5, "k");
    expect(status).toBe(402);
    const address = addressOf(body.purchase);
    const page = await enterCard(address);
    page.status = "expired";
    await hear(id, body.purchase);
    expect(await rowOf(body.purchase)).toMatchObject({ state: "declined", card_entry: null, next_check_at: null });
    provider.enter(await enterCard(address), "card_ok");
    await hear(id, body.purchase);
    await expectPaidOnce(id, body.purchase);
  });

  test("asks the provider nothing about a purchase that nobody has begun to pay", async () => {
    const { address } = await waiting("card_requires_approval");
    const before = provider.reads;
    for (const url of [address, `${address}?cancel`]) await look(backend, url);
    expect(provider.reads).toBe(before);
  });

  test("sends the headers of every page: no script, and forms to itself only", async () => {
    const { address } = await waiting();
    const { headers } = await backend.app.inject({ method: "GET", url: address });
    const policy = String(headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("form-action 'self'");
    expect(policy).not.toContain("script-src");
  });
});

test("cards cannot be entered at a provider without customers", async () => {
  const backend = await startBackend();
  const made = organization({ paymentMethod: "card_requires_approval" });
  await backend.addOrganization(made);
  const address = addressOf(await buyWaiting(backend, made.id));
  const fields = hiddenFields(await look(backend, address));
  expect((await post(backend, address, { ...fields, action: "enter_card" })).status).toBe(400);
  await backend.close();
});
