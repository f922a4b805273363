import { type Kysely, sql } from "kysely";
import { TIMEOUTS } from "../database/postgres.ts";
import type { Database } from "../database/schema.ts";
import { GatewayUnavailable } from "../payments/gateway.ts";
import { invalidSettings } from "./given.ts";
import { readTimeline } from "./holding.ts";
import { changeableRecords } from "./migrate.ts";
import { providerSilent } from "./provider.ts";
import type { DatabaseSettings, ServiceSettings } from "./settings.ts";
import { assertSchema, withStore } from "./store.ts";

/**
 * Checks that the database of a service is reachable and has this version's schema.
 *
 * @returns warnings, one sentence each
 * @throws BackendError `schema_mismatch`, `database_unreachable`
 */
export function checkService(settings: DatabaseSettings, log: (line: string) => void): Promise<string[]> {
  return withStore(settings, log, async (database) => {
    await assertSchema(database);
    const changeable = await changeableRecords(database);
    const unset = await unsetTimeouts(database);
    return [
      ...(changeable.length > 0
        ? [
            `The role of the service can update or delete ${changeable.join(", ")}. Run \`secureflag-licenses serve migrate --service-role <name>\` as another role.`,
          ]
        : []),
      ...(unset.length > 0
        ? [
            `Behind PgBouncer, the role of the service must set its own timeouts. Set ${unset.join(", ")} with ALTER ROLE.`,
          ]
        : []),
      ...((await readTimeline(database)) === null ? [TIMELINE_HIDDEN] : []),
    ];
  });
}

const TIMELINE_HIDDEN =
  "The role of the service cannot call pg_control_checkpoint(), so a restored database is not detected. Grant EXECUTE on it, or run `secureflag-licenses serve admin hold` after a restore.";

/** Lists the timeouts that are not set. Without PgBouncer, each connection sets its own. */
async function unsetTimeouts(database: Kysely<Database>): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select name from pg_settings where name = any(${Object.keys(TIMEOUTS)}::text[]) and setting = '0'
    order by name`.execute(database);
  return rows.map(({ name }) => name);
}

/** A Stripe account that can take payments. */
export interface CheckedAccount {
  readonly provider: "stripe";
  readonly mode: "live" | "test";
  /** The seller's name on the payment page; `null` if the account's is not known. */
  readonly seller: string | null;
  readonly apiVersion: string;
  readonly warnings: readonly string[];
}

/**
 * Checks the payment provider of a service: that Stripe accepts the key, that the key has the permissions it needs, and
 * that a webhook endpoint is set up.
 *
 * @param monotonic a clock that never goes back, milliseconds
 * @returns `null` for test cards, which need no check
 * @throws BackendError `settings_invalid` with all that keeps the service from selling; `unavailable` without an answer
 */
export async function checkProvider(
  { payments, publicUrl, seller }: Pick<ServiceSettings, "payments" | "publicUrl" | "seller">,
  monotonic: () => number,
): Promise<CheckedAccount | null> {
  if (payments.provider === "sandbox") return null;
  const { checkStripeAccount } = await import("../payments/stripe/open.ts");
  const webhookUrl = new URL("/webhooks/stripe", publicUrl).href;
  try {
    const { problems, ...report } = await checkStripeAccount({ ...payments, monotonic, webhookUrl });
    if (problems.length > 0) throw invalidSettings(problems, CORRECT_KEY);
    const warnings = [...report.warnings, ...(payments.mode === "live" && seller === null ? [NO_SELLER] : [])];
    return { provider: "stripe", mode: payments.mode, ...report, warnings };
  } catch (error) {
    throw error instanceof GatewayUnavailable ? providerSilent(error) : error;
  }
}

const NO_SELLER =
  "Receipts name no seller, so accountants may refuse them. Set SECUREFLAG_SELLER to the seller's name, address, country and VAT number as JSON.";

const CORRECT_KEY = "Correct the key or its permissions at https://dashboard.stripe.com/apikeys.";
