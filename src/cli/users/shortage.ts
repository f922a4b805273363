import { canBuy } from "../../billing/roles.ts";
import type { Client } from "../../client/client.ts";
import { knownMe } from "../../client/missing.ts";
import type { LicenseCounts } from "../../contract/basics.ts";
import type { Subscription } from "../../contract/billing.ts";
import type { Me } from "../../contract/identity.ts";
import type { Problem } from "../../contract/problems.ts";
import { type Buying, buyAs, readableSubscription } from "../buying/buying.ts";
import { priceOffer, type VerifiedQuote } from "../buying/engine/offer.ts";
import type { PurchasingTools } from "../buying/engine/tools.ts";
import type { BuyMissingOptions } from "../buying/options.ts";
import { payCommand, unpaidSuspension } from "../buying/purchaseView.ts";
import type { Context } from "../context.ts";
import { CliError, codeOf } from "../errors.ts";
import { missingWords, withTax } from "../kit/words.ts";

/** The hint after others took licenses that were bought. */
export const LOOK_HINT = "See `secureflag-licenses purchases list`. Running the command again is safe.";

/** Too few available licenses for the users to add. */
export interface Shortage {
  /** The licenses that the users take. */
  readonly needed: number;
  /** The licenses that are missing. */
  readonly missing: number;
  /** The subscription's version when they were missing: with any other one a twin may have added the same users. */
  readonly version?: number | undefined;
  /** The backend's refusal; `null` in a dry run. */
  readonly refusal: Error | null;
}

/** The request to buy until `needed` licenses are available, while the subscription has a version. */
export function requestFor(needed: number, options: BuyMissingOptions, version?: number) {
  return { ...options, wanted: { available: needed }, quoteFile: null, version };
}

/** Reads a refusal for missing licenses; `null` for every other error, and if it does not say how many. */
export function shortageOf(error: unknown): Shortage | null {
  if (codeOf(error) !== "no_license_available" || !(error instanceof Error) || !("problem" in error)) return null;
  const { needed, missing, subscriptionVersion: version } = (error.problem as Problem | undefined) ?? {};
  return needed === undefined || missing === undefined ? null : { needed, missing, version, refusal: error };
}

/** The error if buying is not allowed: how many licenses are missing, and what they cost now. */
export async function notBought({ missing, refusal }: Shortage, tools: PurchasingTools): Promise<CliError> {
  const price = await pricedWords(missing, tools);
  return new CliError("no_license_available", `${price}. No users were added`, {
    hint: "Pass --buy-missing to buy what is missing, and --max-total to limit the cost.",
    cause: refusal,
  });
}

/** `2 licenses are missing, and cost £97.64 (£81.37 + £16.27 tax) now`. */
export async function pricedWords(missing: number, tools: PurchasingTools): Promise<string> {
  const { client, organizationId, busy } = tools;
  const price = await busy("Pricing", priceOffer(client, organizationId, missing)).then(
    ({ quote: { total, dueNow: net, tax } }) =>
      `${missing === 1 ? "costs" : "cost"} ${withTax({ total, net, tax })} now`,
    (error: unknown) => {
      if (!(error instanceof Error) || codeOf(error) === null || codeOf(error) === "interrupted") throw error;
      return `the price is not known: ${error.message.replace(/\.$/, "")}`;
    },
  );
  return `${missingWords(missing)}, and ${price}`;
}

/** The error if licenses are still missing after they were bought, or while they are being bought. */
export function stillMissing({ missing, refusal }: Shortage): CliError {
  const why = "others took them, or a purchase of them is still in progress";
  return new CliError("no_license_available", `${missingWords(missing)}: ${why}. No users were added`, {
    hint: LOOK_HINT,
    cause: refusal,
  });
}

/**
 * Does the dry run of the licenses: reads the counts, and quotes what would be bought. A token that may not read the counts
 * is not an error, because adding does not need them.
 *
 * @param needed the licenses that the users take
 * @throws CliError as adding would: `subscription_not_purchasable`, `no_license_available`, the errors of a purchase
 */
export async function rehearseLicenses(
  needed: number,
  options: BuyMissingOptions,
  context: Context,
  buying: Buying,
): Promise<{ licenses: LicenseCounts | null; quote: VerifiedQuote | null }> {
  const { client, organizationId, busy } = buying.tools;
  const subscription = await busy("Reading the subscription", readableSubscription(client, organizationId));
  const counts = subscription?.licenses ?? null;
  if (needed > 0 && subscription !== null) assertUsable(subscription);
  const missing = counts === null ? 0 : needed - Math.max(0, counts.available);
  if (missing <= 0) return { licenses: counts, quote: null };
  if (!options.buyMissing) throw await notBought({ needed, missing, refusal: null }, buying.tools);
  const { result } = await buyAs(requestFor(needed, options), options, context, buying);
  return { licenses: result.licenses, quote: result.quote };
}

function assertUsable(subscription: Subscription): void {
  const { state, unpaid } = subscription;
  if (state !== "suspended" && state !== "ended") return;
  const why = unpaidSuspension(subscription) ?? `the subscription ${state === "ended" ? "has ended" : "is suspended"}`;
  throw new CliError("subscription_not_purchasable", `Users cannot take licenses: ${why}`, {
    hint: unpaid === null ? undefined : `Pay the renewal with ${payCommand(unpaid.purchaseId)}.`,
  });
}

/**
 * Refuses in a dry run what the backend would refuse: adding an administrator with an API token. A backend without
 * `GET /me` is not checked.
 *
 * @param roles the roles of the users to add
 * @throws CliError `forbidden`
 */
export async function rehearseRoles(
  client: Pick<Client, "me">,
  roles: readonly (number | undefined)[],
  verb?: string,
): Promise<void> {
  if (!roles.some(isAdministrator)) return;
  const me = await knownMe(client);
  if (me) assertMayChange(me, roles, verb);
}

/** @throws CliError `forbidden` for an administrator among the roles if an API token is used */
export function assertMayChange(
  { token }: Pick<Me, "token">,
  roles: readonly (number | null | undefined)[],
  verb = "add or remove",
): void {
  if (token.name === null || !roles.some(isAdministrator)) return;
  const message = `API tokens cannot ${verb} administrators`;
  throw new CliError("forbidden", message);
}

function isAdministrator(role: number | null | undefined): boolean {
  return typeof role === "number" && canBuy(role);
}
