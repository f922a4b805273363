import Stripe from "stripe";
import { expect, test } from "vitest";
import { stripeAccount } from "../../../../src/backend/payments/stripe/account.ts";

type Answer = () => Promise<unknown>;

/** A client that gives these answers about its account, one after the other. */
function client(...answers: Answer[]): { stripe: Stripe; asked: () => number } {
  const left = [...answers];
  const stripe = new Stripe("sk_test_1");
  stripe.accounts.retrieveCurrent = (async () => left.shift()?.()) as typeof stripe.accounts.retrieveCurrent;
  return { stripe, asked: () => answers.length - left.length };
}

const named = async () => ({
  business_profile: { name: "SecureFlag" },
  settings: { dashboard: { display_name: "x" } },
});
const unreachable = () =>
  Promise.reject(new Stripe.errors.StripeConnectionError({ message: "gone", type: "api_error" }));
const forbidden = () =>
  Promise.reject(new Stripe.errors.StripePermissionError({ message: "no", type: "invalid_request_error" }));

const KNOWN = { mode: "test", seller: null, fallback: "billing.example.com" } as const;

test("the seller is the account's name, once it was read", async () => {
  const { stripe, asked } = client(named);
  const account = stripeAccount(stripe, KNOWN, () => 0);
  expect(account).toMatchObject({ mode: "test", seller: "billing.example.com" });
  await expect.poll(() => account.seller).toBe("SecureFlag");
  expect(asked()).toBe(1);
});

test("a name that was set is not read", () => {
  const { stripe, asked } = client(named);
  expect(stripeAccount(stripe, { ...KNOWN, seller: "Set Ltd" }, () => 0).seller).toBe("Set Ltd");
  expect(asked()).toBe(0);
});

test("the name is read again a minute after a failure", async () => {
  const { stripe, asked } = client(unreachable, named);
  let now = 0;
  const account = stripeAccount(stripe, KNOWN, () => now);
  await new Promise(setImmediate);
  now = 59_999;
  expect(account.seller).toBe("billing.example.com");
  expect(asked()).toBe(1);
  now = 60_000;
  await expect.poll(() => account.seller).toBe("SecureFlag");
});

test("a key that may not read the name is not asked again", async () => {
  const { stripe, asked } = client(forbidden, named);
  let now = 0;
  const account = stripeAccount(stripe, KNOWN, () => now);
  await new Promise(setImmediate);
  now = 600_000;
  expect(account.seller).toBe("billing.example.com");
  expect(asked()).toBe(1);
});
