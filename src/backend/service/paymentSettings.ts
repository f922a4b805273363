import { BillingError } from "../../billing/errors.ts";
import { isCurrency, parseMoney } from "../../billing/money.ts";
import { isLoopbackAuthority } from "../http/server.ts";
import type { SettingsReader } from "./given.ts";

/** How to be paid through Stripe. */
interface StripeSettings {
  readonly provider: "stripe";
  readonly key: string;
  /** What the key is for. */
  readonly mode: "live" | "test";
  /** One, or two while one replaces the other; none for a command that receives no webhooks. */
  readonly webhookSecrets: readonly string[];
  /** The origin of the API; `null` for Stripe's own. */
  readonly apiUrl: URL | null;
  /** Requests per second. */
  readonly rate: number;
  /** The seller's name on the payment page; `null` for the name of the account. */
  readonly seller: string | null;
  /** Minimum charges in currencies for which Stripe documents none, minor units by currency. */
  readonly minimumCharges: Readonly<Record<string, number>>;
}

/** The payment provider, with its settings. */
export type PaymentSettings = { readonly provider: "sandbox" } | StripeSettings;

/**
 * Reads the settings of the payment provider, which is Stripe unless `--payments` names another.
 *
 * @param more whether the secrets of webhooks are required, and the seller's name
 */
export async function paymentSettings(
  reader: SettingsReader,
  { takesWebhooks, seller }: { takesWebhooks: boolean; seller: string | null },
): Promise<PaymentSettings> {
  const provider = providerOf(reader);
  if (provider !== "stripe") return { provider: "sandbox" };
  return {
    provider,
    ...(await keyOf(reader)),
    webhookSecrets: takesWebhooks ? await webhookSecrets(reader) : [],
    apiUrl: await apiUrl(reader),
    rate: reader.number("stripe-rate", { usual: 40, min: 1, max: 10_000 }),
    seller,
    minimumCharges: minimumCharges(reader),
  };
}

/** Reads which provider to use, without its settings; `null` if the flag is invalid. */
export function providerOf(reader: SettingsReader): PaymentSettings["provider"] | null {
  const provider = reader.flag("payments") ?? "stripe";
  if (provider === "stripe") return provider;
  if (provider !== "sandbox") {
    reader.refuse(`--payments must be stripe or sandbox, not '${provider}'`);
    return null;
  }
  if (!reader.isSet("test-mode")) reader.refuse("--payments sandbox requires --test-mode");
  return provider;
}

async function keyOf(reader: SettingsReader): Promise<Pick<StripeSettings, "key" | "mode">> {
  const key = (await reader.required("STRIPE_KEY")) ?? "";
  const [, mode] = /^(?:sk|rk)_(test|live)_[A-Za-z0-9_]+$/.exec(key) ?? [];
  const isTestMode = reader.isSet("test-mode");
  if (mode === undefined) {
    if (key) reader.refuse("SECUREFLAG_STRIPE_KEY must be a Stripe secret key (sk_…) or restricted key (rk_…)");
  } else if (mode === "test" && !isTestMode) {
    reader.refuse("SECUREFLAG_STRIPE_KEY is a test key, which requires --test-mode");
  } else if (mode === "live" && isTestMode) {
    reader.refuse("SECUREFLAG_STRIPE_KEY is a live key, which is not allowed with --test-mode");
  }
  return { key, mode: mode === "test" ? "test" : "live" };
}

async function webhookSecrets(reader: SettingsReader): Promise<string[]> {
  const text = await reader.required("STRIPE_WEBHOOK_SECRETS");
  if (!text) return [];
  const secrets = text.split(",").map((secret) => secret.trim());
  if (secrets.length > 2 || !secrets.every((secret) => /^whsec_[A-Za-z0-9+/=_]+$/.test(secret))) {
    reader.refuse("SECUREFLAG_STRIPE_WEBHOOK_SECRETS must be one or two secrets (whsec_…), separated by a comma");
  }
  return secrets;
}

async function apiUrl(reader: SettingsReader): Promise<URL | null> {
  const name = "SECUREFLAG_STRIPE_API_URL";
  const text = await reader.variable("STRIPE_API_URL");
  if (!text) return null;
  if (!reader.isSet("test-mode")) reader.refuse(`${name} requires --test-mode`);
  const isOrigin = URL.canParse(text) && /^https?:\/\/[^/?#@]+\/?$/.test(text);
  if (!isOrigin) {
    reader.refuse(`${name} must be an origin such as https://stripe.example.com`);
    return null;
  }
  const url = new URL(text);
  if (url.protocol !== "https:" && !isLoopbackAuthority(url.hostname))
    reader.refuse(`${name} must be an https or loopback URL`);
  return url;
}

function minimumCharges(reader: SettingsReader): Record<string, number> {
  const given = (reader.flag("minimum-charge") ?? "").split(",").map((each) => each.trim());
  const charges: Record<string, number> = {};
  for (const each of given.filter((text) => text !== "")) {
    const [currency = "", amount = "", ...more] = each.split("=");
    const minor = more.length === 0 ? minorUnits(amount, currency) : null;
    if (minor === null) reader.refuse(`--minimum-charge must list amounts, such as KES=50,XAF=300, not '${each}'`);
    else charges[currency] = minor;
  }
  return charges;
}

function minorUnits(text: string, currency: string): number | null {
  if (!isCurrency(currency)) return null;
  try {
    return parseMoney(text, currency).amount;
  } catch (error) {
    if (!(error instanceof BillingError)) throw error;
    return null;
  }
}
