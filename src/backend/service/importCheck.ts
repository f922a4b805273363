import { dateInZone } from "../../billing/calendar.ts";
import { termAt, termIndexOn } from "../../billing/term.ts";
import { GatewayUnavailable, type PaymentGateway, type ProviderSubscription } from "../payments/gateway.ts";
import { invalidSeed } from "../seeding/seed.ts";
import type { Seed, SeedOrganization } from "../seeding/seedFile.ts";
import { providerSilent } from "./provider.ts";

/** What to check the IDs of the provider with. */
interface Provider {
  readonly gateway: Pick<PaymentGateway, "account" | "customers" | "subscriptions"> | null;
  /** The billing clock, milliseconds. */
  readonly now: number;
}

/** A problem of an organization, by the path of the field in it. */
type Problem = readonly [path: string, message: string];

/**
 * Reads back the customers and subscriptions that a seed names, and refuses those that the provider does not have or that
 * are not what the seed says.
 *
 * @param path the seed file, for the message
 * @throws BackendError `seed_invalid` with all problems; `unavailable` without an answer from the provider
 */
export async function assertAtProvider({ organizations }: Seed, path: string, provider: Provider): Promise<void> {
  const problems: { path: string; message: string }[] = [];
  for (const [index, organization] of organizations.entries()) {
    if (!organization.stripeCustomerId) continue;
    for (const [field, message] of await problemsOf(organization, provider)) {
      problems.push({ path: `organizations[${index}].${field}`, message });
    }
  }
  if (problems.length > 0) throw invalidSeed(path, problems);
}

async function problemsOf(organization: SeedOrganization, provider: Provider): Promise<Problem[]> {
  const { stripeCustomerId: customer, stripeSubscriptionId: id } = organization;
  const { customers = null, subscriptions = null } = provider.gateway ?? {};
  if (customers === null || subscriptions === null) return [["stripeCustomerId", "requires --payments stripe"]];
  try {
    if (!(await customers.exists(customer ?? ""))) return [["stripeCustomerId", `${customer} was not found at Stripe`]];
    if (!id) return [];
    const found = await subscriptions.read(id);
    if (found === null) return [["stripeSubscriptionId", `${id} was not found at Stripe`]];
    return differences(organization, found, provider);
  } catch (error) {
    throw error instanceof GatewayUnavailable ? providerSilent(error) : error;
  }
}

function differences(
  organization: SeedOrganization,
  found: ProviderSubscription,
  { gateway, now }: Provider,
): Problem[] {
  const { subscription, timeZone, stripeCustomerId, stripeSubscriptionItemId: itemId } = organization;
  const item = found.items.find(({ id }) => id === itemId);
  if (found.customer !== stripeCustomerId)
    return [["stripeCustomerId", `is not ${found.customer}, who has ${found.id}`]];
  if (found.mode !== gateway?.account.mode) return [["stripeSubscriptionId", `is of the mode ${found.mode}`]];
  if (found.status === "canceled") return [["stripeSubscriptionId", "is canceled"]];
  if (!item) return [["stripeSubscriptionItemId", `${itemId} is not an item of ${found.id}`]];
  const rule = subscription;
  const term = termAt(rule, termIndexOn(rule, dateInZone(now, timeZone)));
  const [start, end] = [dateInZone(item.start, timeZone), dateInZone(item.end, timeZone)];
  const licenses: Problem[] =
    item.quantity === subscription.licenses
      ? []
      : [["subscription.licenses", `is not ${item.quantity}, the quantity of ${itemId}`]];
  const isSameTerm = start === term.start && end === term.renewalDate;
  const is = `makes the current term ${term.start} to ${term.renewalDate}, and at Stripe it is ${start} to ${end}`;
  return isSameTerm ? licenses : [...licenses, ["subscription.anchorDate", is]];
}
