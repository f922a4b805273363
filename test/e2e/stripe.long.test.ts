import { beforeAll, describe, expect, test } from "vitest";
import type { Purchase } from "../../src/contract/billing.ts";
import { errorOf, resultOf, runCli } from "../support/cli.ts";
import { answerElsewhere, goElsewhere, hiddenFields, viewPage } from "../support/paymentPage.ts";
import { temporaryDirectory } from "../support/places.ts";
import { seedFile } from "../support/sandbox.ts";
import { organization, seed } from "../support/seed.ts";
import { POSTGRES } from "../support/service.ts";
import { useStripeService } from "../support/stripeService.ts";
import { runInTerminal } from "../support/terminal.ts";
import { codeAt } from "../support/totp.ts";
import { waitFor } from "../support/wait.ts";

const LIMIT = 180_000;

const BUY = ["buy", "1", "--yes", "--json"];

/** The organizations of the tests, which their operator imports. */
const [DECLINED, APPROVED, FIRST_CARD, CANCELED, LATE, RENEWED, INVOICED, CUT_OFF] = [2, 3, 4, 5, 6, 7, 8, 9] as const;

describe.skipIf(!POSTGRES)("the service that is paid through Stripe", { timeout: LIMIT }, () => {
  const service = useStripeService();
  const { standIn, operate, cli, buyWaiting, until, captures } = service;

  const setCard = async (id: number, card: string) => {
    const run = await operate("serve", "admin", "set-payment-method", card, "--org", String(id));
    expect(run).toMatchObject({ exitCode: 0 });
  };

  beforeAll(async () => {
    const { id: customer } = await standIn.client().customers.create({ name: "Invoiced" });
    const start = new Date();
    start.setUTCDate(1);
    const anchorDate = start.toISOString().slice(0, 10);
    const { id: stripeSubscriptionId, items } = await standIn.control.createSubscription({
      ...{ customer, quantity: 25, unitAmount: 15_000, currency: "gbp" },
      start: Date.parse(`${anchorDate}T00:30:00Z`) / 1_000,
    });
    const stripeSubscriptionItemId = items.data[0]?.id ?? "";
    const made = [DECLINED, APPROVED, FIRST_CARD, CANCELED, LATE, RENEWED, INVOICED, CUT_OFF].map((id) =>
      organization(id, {
        paymentMethod: null,
        timeZone: "UTC",
        subscription: { anchorDate },
        ...(id === INVOICED && { stripeCustomerId: customer, stripeSubscriptionId, stripeSubscriptionItemId }),
      }),
    );
    expect(await operate("serve", "admin", "import", await seedFile(seed(...made)))).toMatchObject({ exitCode: 0 });
  }, LIMIT);

  describe("and set up by its operator", () => {
    const email = "boss@acme.example";
    const password = "a password of some length";
    let home: string;
    let env: Record<string, string>;

    beforeAll(async () => {
      home = await temporaryDirectory();
      env = { SECUREFLAG_API_URL: `${service.origin}/rest/management/v2`, SECUREFLAG_API_TOKEN: "" };
      const flags = "--name Acme --time-zone Europe/London --plan SMB --unit-price 150 --currency GBP --tax-rate 20";
      const more = "--id 1 --licenses 5 --anchor-date 2026-03-01";
      const created = await operate("serve", "admin", "create-organization", ...`${flags} ${more}`.split(" "));
      expect(created).toMatchObject({ exitCode: 0 });
      const invited = await operate("serve", "admin", "create-administrator", email, "--org", "1");
      const { link } = resultOf<{ link: string }>(invited);
      const fields = hiddenFields(await viewPage(link));
      const secret = fields.secret ?? "";
      const form = { ...fields, password, code: codeAt(secret, Date.now()) };
      expect((await fetch(link, { method: "POST", body: new URLSearchParams(form) })).status).toBe(200);
      const totp = codeAt(secret, Date.now() + 30_000);
      const login = ["login", "--email", email, "--password-stdin", "--totp", totp, "--insecure-storage", "--json"];
      expect(await runCli(login, { home, env, input: `${password}\n` })).toMatchObject({ exitCode: 0 });
    }, LIMIT);

    test("a card that is declined is refused, and one of nobody's is attached", async () => {
      const set = (card: string) => operate("serve", "admin", "set-payment-method", card, "--org", "1");
      const refused = await set("pm_card_visa_chargeDeclined");
      expect(errorOf(refused)).toMatchObject({ code: "settings_invalid", exitCode: 2 });
      expect(errorOf(refused).message).toBe("Cannot pay with pm_card_visa_chargeDeclined: Your card was declined.");
      expect(resultOf(await set("pm_card_visa"))).toMatchObject({ paymentMethod: { label: "Visa ending in 4242" } });
      const { data } = await standIn.client().customers.list();
      expect(data.map(({ name, metadata }) => [name, metadata.organizationId])).toContainEqual(["Acme", "1"]);
    });

    test("an administrator sees that it is a test, confirms in a terminal, and buys with a token for CI", async () => {
      expect(resultOf(await runCli(["whoami", "--json"], { home }))).toMatchObject({ mode: "test", user: { email } });
      const terminal = await runInTerminal(["buy", "1"], { home });
      await terminal.waitForText(/\[y\/N\]|\(y\/N\)/);
      expect(terminal.screen()).toContain("TEST");
      terminal.type("y\r");
      expect(await terminal.exitCode(60_000)).toBe(0);
      expect(terminal.screen()).toContain("5 → 6");
      const made = await runCli(
        ["tokens", "create", "--name", "ci", "--scopes", "billing:read,billing:purchase", "--json"],
        {
          home,
        },
      );
      const { token } = resultOf<{ token: string }>(made);
      const bought = await cli(1, BUY, { env: { SECUREFLAG_API_TOKEN: token } });
      expect(resultOf(bought)).toMatchObject({
        purchase: { status: "succeeded", mode: "test" },
        licenses: { purchased: 7 },
      });
      expect(await captures(1)).toHaveLength(2);
    });

    test("the account is checked, and its payments are reconciled", async () => {
      const check = async () => resultOf<{ warnings: string[] }>(await operate("serve", "check"));
      expect((await check()).warnings.join()).toContain(`no webhook endpoint ${service.origin}/webhooks/stripe`);
      await standIn.control.addEndpoint({ url: `${service.origin}/webhooks/stripe` });
      expect((await check()).warnings.join()).not.toContain("webhook");
      const reconciled = await operate("serve", "reconcile", "--from", "2026-01-01");
      expect(resultOf(reconciled)).toMatchObject({ payments: 2, differences: [] });
    });
  });

  test("a declined card ends with 6, and another card on the page pays the same purchase", async () => {
    await setCard(DECLINED, "pm_card_chargeCustomerFail");
    const run = await cli(DECLINED, ["buy", "1", "--yes"]);
    expect(run).toMatchObject({ exitCode: 6, stderr: expect.stringContaining("Your card was declined.") });
    expect(run.stderr).toContain("No license was added and nothing was charged.");
    const again = await cli(DECLINED, BUY, { home: run.home });
    expect(errorOf(again)).toMatchObject({ exitCode: 6 });
    const [last] = resultOf<Purchase[]>(await cli(DECLINED, ["purchases", "list", "--json"]));
    const page = await goElsewhere(last?.nextAction?.url ?? "", "enter_card");
    expect((await answerElsewhere(page, { action: "save", card: "pm_card_visa" })).html).toContain("Payment received");
    await until(last?.id ?? "", "fulfilled");
    expect(await captures(DECLINED)).toHaveLength(1);
  });

  test("a bank that asks is answered on the page, which another machine finds", async () => {
    await setCard(APPROVED, "pm_card_authenticationRequired");
    const { id, url } = await buyWaiting(APPROVED);
    const resumed = await cli(APPROVED, ["purchases", "resume", "--json"]);
    expect(resumed.exitCode).toBe(8);
    expect(resultOf(resumed)).toMatchObject({ resumed: [{ id, status: "requires_approval", nextAction: { url } }] });
    const answered = await answerElsewhere(await goElsewhere(url, "pay"), { action: "approve" });
    expect(answered.html).toContain("Payment received");
    await until(id, "fulfilled");
    expect(await captures(APPROVED)).toHaveLength(1);
  });

  test("another card pays while the bank's page is open, which then charges nothing", async () => {
    const { id, url } = await buyWaiting(APPROVED);
    const bank = await goElsewhere(url, "pay");
    const page = await goElsewhere(url, "enter_card");
    expect((await answerElsewhere(page, { action: "save", card: "pm_card_visa" })).html).toContain("Payment received");
    await expect(answerElsewhere(bank, { action: "approve" })).rejects.toThrow("does not wait for you any more");
    await until(id, "fulfilled");
    expect(await captures(APPROVED)).toHaveLength(2);
  });

  test("the first card is entered at Stripe, stored, and pays the next purchase by itself", async () => {
    const { id, url } = await buyWaiting(FIRST_CARD);
    const page = await goElsewhere(url, "enter_card");
    expect((await answerElsewhere(page, { action: "save", card: "pm_card_mastercard" })).html).toContain(
      "Payment received",
    );
    await until(id, "fulfilled");
    expect((await cli(FIRST_CARD, ["status"])).stdout).toContain("Mastercard ending in 4444");
    expect(resultOf(await cli(FIRST_CARD, BUY))).toMatchObject({ licenses: { purchased: 27 } });
    expect(await captures(FIRST_CARD)).toHaveLength(2);
  });

  test("a purchase that is canceled while the bank's page is open is never charged", async () => {
    await setCard(CANCELED, "pm_card_authenticationRequired");
    const { id, url } = await buyWaiting(CANCELED);
    const bank = await goElsewhere(url, "pay");
    expect(await cli(CANCELED, ["purchases", "cancel", id, "--yes"])).toMatchObject({ exitCode: 0 });
    await expect(answerElsewhere(bank, { action: "approve" })).rejects.toThrow("does not wait for you any more");
    await until(id, "canceled");
    expect((await viewPage(url)).html).toContain("The purchase was canceled");
    expect(await captures(CANCELED)).toEqual([]);
  });

  test("a payment that arrives after its purchase was canceled is refunded", async () => {
    await setCard(LATE, "pm_card_authenticationRequired");
    const { id, url } = await buyWaiting(LATE);
    const bank = await goElsewhere(url, "pay");
    const end = "update purchases set state = 'canceled', completed_at = $2, next_check_at = $2 where id = $1";
    await service.database.query(end, [id, Date.now() + 3_600_000]);
    await answerElsewhere(bank, { action: "approve" });
    await until(id, "refunded");
    const [capture] = await captures(LATE);
    expect(capture?.refunded).toBe(capture?.amount);
    expect((await cli(LATE, ["purchases", "show", id])).stdout).toMatch(/refunded/i);
  });

  test("a total that Stripe cannot charge is refused before anything is bought", async () => {
    const run = await cli(RENEWED, ["buy", "10000", "--yes", "--json"]);
    expect(run.exitCode).toBe(2);
    expect(errorOf(run).message).toContain("is above the maximum charge of £999,999.99; request fewer licenses");
  });

  test("a renewal is charged by the service, once", async () => {
    await setCard(RENEWED, "pm_card_visa");
    await service.database.query("update subscriptions set renew_at = 1 where organization_id = $1", [RENEWED]);
    await waitFor(async () => (await captures(RENEWED)).length > 0, 60_000, "the renewal");
    const list = await cli(RENEWED, ["purchases", "list", "--kind", "renewal", "--json"]);
    expect(resultOf(list)).toMatchObject([{ kind: "renewal", status: "succeeded", total: { amount: 450_000 } }]);
    expect(await captures(RENEWED)).toMatchObject([{ amount: 450_000, metadata: { kind: "renewal" } }]);
  });

  test("a subscription at Stripe gets our count, and renews there with the reduction", async () => {
    await setCard(INVOICED, "pm_card_visa");
    const [row] = await service.database.query(
      "select provider_subscription as id from subscriptions where organization_id = $1",
      [INVOICED],
    );
    const quantity = async () =>
      (await standIn.client().subscriptions.retrieve(String(row?.id))).items.data[0]?.quantity;
    expect(resultOf(await cli(INVOICED, BUY))).toMatchObject({ licenses: { purchased: 26 } });
    await waitFor(async () => (await quantity()) === 26, 60_000, "the quantity after the purchase");
    expect(await cli(INVOICED, ["licenses", "reduce", "23", "--yes"])).toMatchObject({ exitCode: 0 });
    await waitFor(async () => (await quantity()) === 23, 60_000, "the quantity of the next term");
    await standIn.control.renew(String(row?.id), "paid");
    const purchased = async () =>
      resultOf<{ licenses: { purchased: number } }>(await cli(INVOICED, ["status", "--json"])).licenses.purchased;
    await waitFor(async () => (await purchased()) === 23, 60_000, "the next term");
    expect(await captures(INVOICED)).toHaveLength(1);
  });

  test("a buyer is told the truth while Stripe is down, and the purchase settles once", async () => {
    await setCard(CUT_OFF, "pm_card_visa");
    await standIn.control.fault({
      call: "paymentIntents.confirm",
      effect: "slow",
      when: "after",
      milliseconds: 60_000,
    });
    const home = await temporaryDirectory();
    const buying = cli(CUT_OFF, [...BUY, "--timeout", "10"], { home, timeout: 120_000 });
    await waitFor(async () => (await captures(CUT_OFF)).length > 0, 30_000, "the charge");
    await standIn.kill();
    const run = await buying;
    expect([run.exitCode, errorOf(run).code]).toEqual([10, "purchase_unsettled"]);
    expect(run.stderr).not.toMatch(/nothing was charged/i);
    await standIn.restart();
    expect(
      resultOf(await cli(CUT_OFF, ["purchases", "resume", "--wait", "60", "--json"], { home, timeout: 90_000 })),
    ).toMatchObject({ resumed: [{ status: "succeeded" }], licenses: { purchased: 26 } });
    expect(await captures(CUT_OFF)).toHaveLength(1);
  });
});
