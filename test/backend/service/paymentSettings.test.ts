import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readPaymentSettings, readServiceSettings } from "../../../src/backend/service/settings.ts";
import { removePlaces, temporaryDirectory } from "../../support/places.ts";

type Flags = Record<string, string | boolean>;

const [TEST_KEY, LIVE_KEY, SECRET] = ["sk_test_51abcSECRET", "rk_live_51abcSECRET", "whsec_abcSECRET"];
const TEST_MODE = { "test-mode": true };
const BASE = {
  SECUREFLAG_DATABASE_URL: "postgresql://billing@127.0.0.1/billing",
  SECUREFLAG_PUBLIC_URL: "http://127.0.0.1:8080",
  SECUREFLAG_SECRETS_KEY: Buffer.alloc(32, 1).toString("base64"),
};
const STRIPE = { SECUREFLAG_STRIPE_KEY: TEST_KEY, SECUREFLAG_STRIPE_WEBHOOK_SECRETS: SECRET };

const read = async (flags: Flags = TEST_MODE, env: Record<string, string> = STRIPE) =>
  (await readServiceSettings({ flags, env: { ...BASE, ...env } })).payments;

const problems = (flags: Flags, env: Record<string, string> = STRIPE) =>
  read(flags, env).then(
    () => [],
    (error) => {
      expect(error.code).toBe("settings_invalid");
      expect(error.message).not.toMatch(/SECRET(?!S)|51abc/);
      return error.message.split("; ");
    },
  );

afterAll(removePlaces);

describe("the settings of Stripe", () => {
  test("are the default, and have defaults", async () => {
    expect(await read()).toEqual({
      provider: "stripe",
      key: TEST_KEY,
      mode: "test",
      webhookSecrets: [SECRET],
      apiUrl: null,
      rate: 40,
      seller: null,
      minimumCharges: {},
    });
  });

  test("take a live key without test mode, and all that can be set", async () => {
    const flags = { "stripe-rate": "10", seller: "SecureFlag Ltd", "minimum-charge": "KES=50, XAF=300" };
    const secrets = `${SECRET}, ${SECRET}2`;
    const env = { SECUREFLAG_STRIPE_KEY: LIVE_KEY, SECUREFLAG_STRIPE_WEBHOOK_SECRETS: secrets };
    expect(await read(flags, env)).toMatchObject({
      mode: "live",
      webhookSecrets: [SECRET, `${SECRET}2`],
      rate: 10,
      seller: "SecureFlag Ltd",
      minimumCharges: { KES: 5_000, XAF: 300 },
    });
  });

  test("can come from files", async () => {
    const file = join(await temporaryDirectory(), "key");
    await writeFile(file, `${TEST_KEY}\n`);
    const { SECUREFLAG_STRIPE_WEBHOOK_SECRETS } = STRIPE;
    const env = { SECUREFLAG_STRIPE_KEY_FILE: file, SECUREFLAG_STRIPE_WEBHOOK_SECRETS };
    expect(await read(TEST_MODE, env)).toMatchObject({ key: TEST_KEY });
  });

  test("that are missing are all named at once", async () => {
    expect(await problems({}, {})).toEqual([
      "SECUREFLAG_STRIPE_KEY is required",
      "SECUREFLAG_STRIPE_WEBHOOK_SECRETS is required",
    ]);
  });

  test("that are wrong are all named at once, and secrets never shown", async () => {
    const flags = { "stripe-rate": "0", "minimum-charge": "KES=50,EUR,krw=1,KES=0.001" };
    const env = {
      SECUREFLAG_STRIPE_KEY: "pk_test_51abcSECRET",
      SECUREFLAG_STRIPE_WEBHOOK_SECRETS: `${SECRET},${TEST_KEY}`,
      SECUREFLAG_STRIPE_API_URL: "ftp://stripe.example.com",
    };
    expect(await problems(flags, env)).toEqual([
      "SECUREFLAG_STRIPE_KEY must be a Stripe secret key (sk_…) or restricted key (rk_…)",
      "SECUREFLAG_STRIPE_WEBHOOK_SECRETS must be one or two secrets (whsec_…), separated by a comma",
      "SECUREFLAG_STRIPE_API_URL requires --test-mode",
      "SECUREFLAG_STRIPE_API_URL must be an origin such as https://stripe.example.com",
      "--stripe-rate must be a whole number, 1 to 10000",
      "--minimum-charge must list amounts, such as KES=50,XAF=300, not 'EUR'",
      "--minimum-charge must list amounts, such as KES=50,XAF=300, not 'krw=1'",
      "--minimum-charge must list amounts, such as KES=50,XAF=300, not 'KES=0.001'",
    ]);
  });

  test.each<[string, Flags, Record<string, string>, string]>([
    ["a test key without test mode", {}, STRIPE, "SECUREFLAG_STRIPE_KEY is a test key, which requires --test-mode"],
    [
      "a live key in test mode",
      TEST_MODE,
      { ...STRIPE, SECUREFLAG_STRIPE_KEY: LIVE_KEY },
      "SECUREFLAG_STRIPE_KEY is a live key, which is not allowed with --test-mode",
    ],
    [
      "three webhook secrets",
      TEST_MODE,
      { ...STRIPE, SECUREFLAG_STRIPE_WEBHOOK_SECRETS: `${SECRET},${SECRET},${SECRET}` },
      "SECUREFLAG_STRIPE_WEBHOOK_SECRETS must be one or two secrets (whsec_…), separated by a comma",
    ],
    [
      "plain HTTP elsewhere",
      TEST_MODE,
      { ...STRIPE, SECUREFLAG_STRIPE_API_URL: "http://stripe.example.com" },
      "SECUREFLAG_STRIPE_API_URL must be an https or loopback URL",
    ],
    ["another provider", { payments: "paypal" }, {}, "--payments must be stripe or sandbox, not 'paypal'"],
    ["test cards without test mode", { payments: "sandbox" }, {}, "--payments sandbox requires --test-mode"],
  ])("refuse %s", async (_, flags, env, problem) => {
    expect(await problems(flags, env)).toEqual([problem]);
  });

  test.each(["http://127.0.0.1:9999", "http://[::1]:9999", "https://stripe.example.com"])(
    "take %s for Stripe in test mode",
    async (url) => {
      const payments = await read(TEST_MODE, { ...STRIPE, SECUREFLAG_STRIPE_API_URL: url });
      expect(payments).toMatchObject({ apiUrl: new URL(url) });
    },
  );

  test("of a command that receives no webhooks need no secret of webhooks", async () => {
    const { SECUREFLAG_STRIPE_KEY } = STRIPE;
    const { payments } = await readPaymentSettings({ flags: TEST_MODE, env: { ...BASE, SECUREFLAG_STRIPE_KEY } });
    expect(payments).toMatchObject({ provider: "stripe", webhookSecrets: [] });
  });
});
