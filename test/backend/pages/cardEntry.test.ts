import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { useStandIn } from "../../stripe/useStandIn.ts";
import { answerElsewhere } from "../../support/paymentPage.ts";
import { startBackend, type TestBackend } from "../support/backend.ts";
import { act, addressOf, buyWaiting, look, read } from "../support/paying.ts";
import { DIALECTS } from "../support/stores.ts";
import { addCustomer, expectPaidInvariants, payThrough } from "../support/stripe.ts";

const HALF_HOUR_MS = 30 * 60_000;

describe.each(DIALECTS)("a page of Stripe that cannot be opened, on %s", (dialect) => {
  const standIn = useStandIn();
  let backend: TestBackend;

  beforeEach(async () => {
    backend = await startBackend(dialect);
    payThrough(standIn, backend);
  });
  afterEach(async () => {
    await standIn.control.clearFaults();
    await backend.close();
  });

  const waiting = async () => {
    const id = await addCustomer(standIn, backend, null);
    const purchase = await buyWaiting(backend, id);
    const address = addressOf(purchase);
    const enter = () => act(backend, address, { action: "enter_card" });
    const expectPaid = async () => {
      const [, link = ""] =
        /<a class="button" href="([^"]*)">Enter the card/.exec((await look(backend, address)).html) ?? [];
      // The browser's way back leads to an address without a server.
      await answerElsewhere(link, { action: "save", card: "pm_card_visa" }).catch(() => null);
      expect((await look(backend, address)).html).toContain("Payment received");
      expect((await read(backend, id, purchase.id)).status).toBe("succeeded");
      await expectPaidInvariants(standIn, backend, id, 25);
    };
    return { enter, expectPaid };
  };

  const keys = async () => {
    const requests = await standIn.control.requests();
    return requests
      .filter(({ call }) => call === "checkout.sessions.create")
      .map(({ idempotencyKey }) => idempotencyKey?.replace(/^.*:setup/, ""));
  };

  test("because of a failure that Stripe repeats for its key: another key opens it", async () => {
    const { enter, expectPaid } = await waiting();
    await standIn.control.fault({ call: "checkout.sessions.create", effect: "failed" });
    const before = (await keys()).length;
    expect((await enter()).html).toContain("The payment provider did not answer; try again");
    expect((await enter()).html).toContain("could not be opened; try again");
    expect((await enter()).status).toBe(303);
    expect((await keys()).slice(before)).toEqual([":1", ":1", ":2"]);
    await expectPaid();
  });

  test("because its key has opened another one that nobody saved: another key opens it", async () => {
    const { enter, expectPaid } = await waiting();
    backend.crashAt("B14");
    expect((await enter()).status).toBe(500);
    backend.clocks.machine += HALF_HOUR_MS;
    const before = (await keys()).length;
    const refused = await enter();
    expect([refused.status, refused.html.includes("Nothing was charged")]).toEqual([503, true]);
    expect((await enter()).status).toBe(303);
    expect((await keys()).slice(before)).toEqual([":1", ":2"]);
    await expectPaid();
  });
});
