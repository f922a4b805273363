import { CARD_RULES } from "../payments/cards.ts";
import { GatewayUnavailable, type PaymentGateway } from "../payments/gateway.ts";
import type { GivenSettings } from "./given.ts";
import type { PaymentSettings } from "./paymentSettings.ts";
import { providerSilent } from "./provider.ts";
import { readPaymentSettings, readProvider } from "./settings.ts";

/** What is looked up at a provider for an operator. */
type Records = Pick<PaymentGateway, "account" | "customers" | "subscriptions">;

/** The payment provider of a command that works on organizations. */
export interface OperatorProvider extends Pick<PaymentGateway, "limits"> {
  readonly name: PaymentSettings["provider"];
  /**
   * Looks something up at the provider, which requires its key.
   *
   * @param look gets `null` for test cards, which have no records
   * @throws BackendError `settings_invalid`; `unavailable` without an answer
   */
  lookUp<Result>(look: (records: Records | null) => Promise<Result>): Promise<Result>;
}

/** The clocks of a machine, milliseconds; `monotonic` never goes back. */
interface Clocks {
  now(): number;
  monotonic(): number;
}

/**
 * Reads which provider to use. Its other settings are read only when something is looked up.
 *
 * @throws BackendError `settings_invalid`
 */
export async function operatorProvider(given: GivenSettings, clocks: Clocks): Promise<OperatorProvider> {
  const name = await readProvider(given);
  if (name === "sandbox") return { name, limits: CARD_RULES.limits, lookUp: (look) => look(null) };
  const { stripeLimits } = await import("../payments/stripe/units.ts");
  return {
    name,
    limits: (currency) => stripeLimits(currency),
    async lookUp(look) {
      const { payments } = await readPaymentSettings(given);
      if (payments.provider !== "stripe") return look(null);
      const { openStripeGateway } = await import("../payments/stripe/open.ts");
      try {
        return await look(openStripeGateway({ ...payments, ...clocks, seller: "", fallback: "" }));
      } catch (error) {
        throw error instanceof GatewayUnavailable ? providerSilent(error) : error;
      }
    },
  };
}
