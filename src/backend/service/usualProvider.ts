import type { Kysely } from "kysely";
import type { Database } from "../database/schema.ts";
import { readSetting, writeSetting } from "../seeding/store.ts";
import type { GivenSettings } from "./given.ts";
import type { PaymentSettings } from "./paymentSettings.ts";
import { readDatabaseSettings } from "./settings.ts";
import { withSchema } from "./store.ts";

type Provider = PaymentSettings["provider"];

const PROVIDER = "payment_provider";

/** Records the payment provider of the service in its database, for operator commands. */
export async function noteProvider(database: Kysely<Database>, provider: Provider): Promise<void> {
  if ((await readSetting(database, PROVIDER)) !== provider) await writeSetting(database, PROVIDER, provider);
}

/**
 * Fills in the payment provider of an operator command that names none and has no Stripe key: the one that the service
 * last started with. Before the first start, `--test-mode` means test cards.
 *
 * @throws BackendError `settings_invalid`, `database_unreachable`, `schema_mismatch`
 */
export async function withUsualProvider(given: GivenSettings, log: (line: string) => void): Promise<GivenSettings> {
  if (given.flags.payments !== undefined || hasKey(given)) return given;
  const noted = await withSchema(await readDatabaseSettings(given), log, (database) => readSetting(database, PROVIDER));
  const provider = noted ?? (given.flags["test-mode"] === true ? "sandbox" : "stripe");
  return provider === "sandbox"
    ? { ...given, flags: { ...given.flags, payments: provider, "test-mode": true } }
    : given;
}

function hasKey({ env }: GivenSettings): boolean {
  return Boolean(env.SECUREFLAG_STRIPE_KEY || env.SECUREFLAG_STRIPE_KEY_FILE);
}
