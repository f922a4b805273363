import type { Command } from "commander";
import { BillingError } from "../../billing/errors.ts";
import { parseMoney } from "../../billing/money.ts";
import type { Client } from "../../client/client.ts";
import type { CreateTokenRequest } from "../../contract/identity.ts";
import { usageError } from "../errors.ts";
import { monthlyAmount, monthlyLicenses } from "../kit/values.ts";

/** What a token may spend in a calendar month. */
export interface LimitOptions {
  /** In major units of the subscription's currency, `500` or `500.00`. */
  readonly maxSpend: string | null;
  readonly maxLicenses: number | null;
}

/** The flags as commander reads them. */
export interface LimitFlags {
  readonly maxSpend?: string;
  readonly maxLicenses?: number;
}

/** Adds `--max-spend` and `--max-licenses`. */
export function addLimitFlags(command: Command): Command {
  return command
    .option("--max-spend <amount>", "limit per calendar month, with tax, for example 500/month", monthlyAmount)
    .option("--max-licenses <n>", "limit per calendar month, for example 10/month", monthlyLicenses);
}

/** Reads them. */
export function readLimitFlags({ maxSpend, maxLicenses }: LimitFlags): LimitOptions {
  return { maxSpend: maxSpend ?? null, maxLicenses: maxLicenses ?? null };
}

/**
 * Returns the limit as the backend takes it, `null` without one. Its amount is in the subscription's currency, which only the
 * backend knows.
 *
 * @throws CliError `invalid_usage` for an amount with too many decimals
 */
export async function spendLimitOf(
  { maxSpend, maxLicenses: licenses }: LimitOptions,
  client: Pick<Client, "subscription">,
  organizationId: number,
): Promise<CreateTokenRequest["spendLimit"]> {
  if (maxSpend === null) return licenses === null ? null : { amount: null, licenses };
  const { plan } = await client.subscription(organizationId);
  try {
    return { amount: parseMoney(maxSpend, plan.unitPrice.currency), licenses };
  } catch (error) {
    if (error instanceof BillingError) throw usageError(`--max-spend: ${error.message}`, "Nothing was created.");
    throw error;
  }
}

/** Returns a new limit with all of it left, `null` without one. */
export function unspent(limit: CreateTokenRequest["spendLimit"]) {
  const { amount = null, licenses = null } = limit ?? {};
  return limit ? { amount, amountLeft: amount, licenses, licensesLeft: licenses } : null;
}
