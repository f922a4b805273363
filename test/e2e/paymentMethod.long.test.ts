import { describe, expect, test } from "vitest";
import type { Purchase, StoredPaymentMethod, Subscription } from "../../src/contract/billing.ts";
import { errorOf, resultOf } from "../support/cli.ts";
import { actOnPage, viewPage } from "../support/paymentPage.ts";
import { organization, seed, token } from "../support/seed.ts";
import { useSandbox } from "../support/useSandbox.ts";

const KEPT = 1;
const NOT_KEPT = 2;
const CHANGED = 3;
const READER = 4;

const declined = { paymentMethod: "card_declined" };

const sandbox = useSandbox({
  now: "2027-02-28T06:00:00Z",
  seed: seed(
    organization(KEPT, declined),
    organization(NOT_KEPT, declined),
    organization(CHANGED, declined),
    organization(READER, { tokens: [token(READER, { scopes: ["billing:read"] })] }),
  ),
});

const json = async <Result>(id: number, line: string) =>
  resultOf<Result>(await sandbox.cli(id, [...line.split(" "), "--json"]));
const method = (id: number) => json<StoredPaymentMethod>(id, "organizations payment-method");
const labelOf = async (id: number) => (await method(id)).paymentMethod?.label;
const stateOf = async (id: number) => (await json<Subscription>(id, "status")).state;
const advance = (line: string) => json(KEPT, `sandbox clock advance ${line}`);
const renewalsOf = (id: number) => json<Purchase[]>(id, "purchases list --kind renewal");

// One clock: each part goes on from where the one before has left it.
describe.sequential("the stored card of a renewal that fails", () => {
  test("is shown with the page that changes it", async () => {
    const { url } = await method(KEPT);
    const { stdout, exitCode } = await sandbox.cli(KEPT, ["organizations", "payment-method"]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^Payment +Visa ending in 0002 \(test card, declined\)\n/);
    expect(stdout).toContain(`${new URL(url ?? "").origin}/payment-method/${KEPT}/`);
    const page = await viewPage(url ?? "");
    expect([page.status, page.html.includes("SANDBOX: no money moves")]).toEqual([200, true]);
  });

  test("can be paid with another card, which is kept or not", async () => {
    await advance("--to 2027-03-01T12:00:00Z");
    for (const id of [KEPT, NOT_KEPT]) {
      expect(await stateOf(id)).toBe("past_due");
      const { stdout } = await sandbox.cli(id, ["status"]);
      expect(stdout).toContain("`secureflag-licenses organizations payment-method --open`");
      const [renewal] = await renewalsOf(id);
      const url = renewal?.nextAction?.url ?? "";
      const paid = await actOnPage(url, "pay", "card_ok");
      expect(paid.html).toContain("Charge renewals to Visa ending in 4242 (test card)");
      if (id === KEPT) expect((await actOnPage(url, "keep_card")).html).not.toContain("Charge renewals to");
      expect(await stateOf(id)).toBe("active");
    }
    expect(await labelOf(KEPT)).toBe("Visa ending in 4242 (test card)");
    expect(await labelOf(NOT_KEPT)).toBe("Visa ending in 0002 (test card, declined)");
  });

  test("can be changed on its page, and is then charged by the next retry", async () => {
    const { url } = await method(CHANGED);
    expect((await viewPage(url ?? "")).html).toContain("Pay the renewal");
    expect((await actOnPage(url ?? "", "save", "card_ok")).html).toContain("The payment method was changed");
    expect([await labelOf(CHANGED), await stateOf(CHANGED)]).toEqual(["Visa ending in 4242 (test card)", "past_due"]);
    await advance("--by 1");
    expect(await stateOf(CHANGED)).toBe("active");
  });

  test("is charged by the next renewal, as it was stored", async () => {
    await advance("--to 2028-03-01T12:00:00Z");
    const states = await Promise.all([KEPT, NOT_KEPT, CHANGED].map(stateOf));
    expect(states).toEqual(["active", "past_due", "active"]);
    const [first, second] = (await renewalsOf(NOT_KEPT)).map(({ status }) => status);
    expect([first, second]).toEqual(["failed", "succeeded"]);
  });
});

test("a token that may not buy is shown the card, and gets no page", async () => {
  expect(await method(READER)).toMatchObject({ paymentMethod: { type: "card" }, url: null, urlExpiresAt: null });
  const refused = errorOf(await sandbox.cli(READER, ["organizations", "payment-method", "--open", "--json"]));
  expect(refused).toMatchObject({ code: "insufficient_scope", exitCode: 5 });
});
