import type { Purchase } from "../../../contract/billing.ts";
import type { Context } from "../../context.ts";
import { detectCiRun } from "../../journal/ciKey.ts";
import { assertConsent } from "../../prompts/asking.ts";
import { automaticApprover } from "../../purchasing/automaticApprover.ts";
import { buy } from "../../purchasing/buy.ts";
import { checkCount, checkLimit } from "../../purchasing/guards.ts";
import { keySeries } from "../../purchasing/keys.ts";
import type { BuyRequest } from "../../purchasing/request.ts";
import type { Approver, Concluded, PurchasingTools } from "../../purchasing/tools.ts";
import { type LicenseTarget, licensesToBuy, targetOf, type Wanted } from "../../purchasing/wanted.ts";
import { renderConfirmation } from "../../render/confirmation.ts";
import type { BuyingOptions } from "./buyOptions.ts";
import { type Connection, connectToOrganization } from "./connect.ts";
import { viewOf } from "./output.ts";
import { assertOffered, type Need } from "./publicApi.ts";
import { purchasingTools } from "./purchasingTools.ts";
import { resolveTarget } from "./target.ts";

/** A command that buys, connected to its backend. */
export interface Buying {
  readonly connection: Connection;
  readonly tools: PurchasingTools;
}

/**
 * Connects a command that buys. Sends nothing but what finding the organization takes.
 *
 * @throws CliError `invalid_usage` before any request where it cannot prompt and `--yes` is missing; first what the
 *   purchase would be refused for with it: `license_limit`, `max_licenses_exceeded`
 */
export async function openBuying(options: BuyingOptions, wanted: Wanted, context: Context): Promise<Buying> {
  assertOffered(await resolveTarget(context, options), context.env.SECUREFLAG_API_TOKEN, "billing");
  try {
    assertConsent(context, options, "buy");
  } catch (error) {
    if ("licenses" in wanted) {
      checkCount(options, wanted.licenses);
      checkLimit(wanted.licenses);
    }
    throw error;
  }
  return await connectBuying(options, context, "billing");
}

/** Connects a command that may come to buy. Sends nothing but what finding the organization takes. */
export async function connectBuying(options: BuyingOptions, context: Context, need: Need): Promise<Buying> {
  const { connection, client, organizationId } = await connectToOrganization(context, options, need);
  return { connection, tools: await purchasingTools(context, options, { client, organizationId }) };
}

/** Decides that what an earlier run of a command has bought is bought again only where its target is not reached. */
export function buyAgainWhatIsMissing(target: LicenseTarget, { client, organizationId, say }: PurchasingTools) {
  return async ({ id }: Pick<Purchase, "id">): Promise<boolean> => {
    const subscription = await client.subscription(organizationId);
    if (licensesToBuy(target, subscription) === 0) return false;
    say(`The purchase ${id} of the same command succeeded; more is missing now.`);
    return true;
  };
}

/**
 * Buys what was wanted as a command was told to.
 *
 * @param decide what else decides about offers; the automatic or the person's decisions unless it says otherwise
 */
export async function buyAs(
  request: BuyRequest,
  options: BuyingOptions,
  context: Context,
  { connection, tools }: Buying,
  decide: Partial<Approver> = {},
): Promise<Concluded> {
  const keys = keySeries(request, {
    ciRun: detectCiRun(context.env),
    apiUrl: tools.client.apiUrl,
    organizationId: tools.organizationId,
    randomBytes: context.random.bytes,
  });
  const approver = await approverFor(request, options, context, connection);
  return await buy(request, keys, { ...approver, ...decide }, tools);
}

async function approverFor(
  request: BuyRequest,
  options: BuyingOptions,
  context: Context,
  connection: Connection,
): Promise<Approver> {
  const target = targetOf(request.wanted);
  const { apiUrl, isLoopback: isSandbox } = connection.client;
  if (!options.yes && !options.dryRun) {
    const { personApprover } = await import("../../prompts/personApprover.ts");
    return personApprover(options, context, connection, target);
  }
  return automaticApprover({
    decidesAnew: target !== null,
    announce: async (offer) => {
      if (options.json || options.quiet) return;
      const view = await viewOf(context, options, "stderr");
      context.io.note(`${renderConfirmation(offer, { apiUrl, isSandbox, signedInAs: null, target }, view)}\n\n`);
    },
  });
}
