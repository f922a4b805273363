import { dateInZone } from "../../billing/calendar.ts";
import { termAt, termIndexOn } from "../../billing/term.ts";
import type { Mode } from "../../contract/mode.ts";
import type { ProviderSubscription } from "../payments/gateway.ts";
import { invalidSeed } from "../seeding/seed.ts";
import type { Seed, SeedOrganization } from "../seeding/seedFile.ts";
import type { OperatorProvider } from "./operatorProvider.ts";

/** What to check organizations with. */
interface CheckOptions {
  readonly provider: OperatorProvider;
  /** The billing clock, milliseconds. */
  readonly now: number;
}

/** A problem of an organization, by the path of the field in it. */
type Problem = readonly [path: string, message: string];

/**
 * Refuses a seed with currencies or test cards that the provider cannot charge. Looks up the customers and
 * subscriptions that it names, and refuses those that do not exist or differ from the seed.
 *
 * @param path the seed file, for the message
 * @throws BackendError `seed_invalid` with all problems; `settings_invalid` if the provider's key is needed and missing;
 *   `unavailable` without an answer from the provider
 */
export async function assertAtProvider({ organizations }: Seed, path: string, options: CheckOptions): Promise<void> {
  const problems: { path: string; message: string }[] = [];
  for (const [index, organization] of organizations.entries()) {
    const found = [...unchargeable(organization, options), ...(await problemsOf(organization, options))];
    problems.push(...found.map(([field, message]) => ({ path: `organizations[${index}].${field}`, message })));
  }
  if (problems.length > 0) throw invalidSeed(path, problems);
}

function unchargeable({ subscription, paymentMethod }: SeedOrganization, { provider }: CheckOptions): Problem[] {
  const { currency } = subscription.unitPrice;
  const isTestCard = paymentMethod !== null && provider.name === "stripe";
  return [
    ...(provider.limits(currency) === null
      ? [["subscription.unitPrice.currency", `${currency} is not supported by the payment provider`] as const]
      : []),
    ...(isTestCard ? [["paymentMethod", "is a test card, which requires --payments sandbox"] as const] : []),
  ];
}

async function problemsOf(organization: SeedOrganization, { provider, now }: CheckOptions): Promise<Problem[]> {
  const { stripeCustomerId: customer, stripeSubscriptionId: id } = organization;
  if (!customer) return [];
  return provider.lookUp(async (records) => {
    const { customers = null, subscriptions = null } = records ?? {};
    if (records === null || customers === null || subscriptions === null) {
      return [["stripeCustomerId", "requires --payments stripe"]];
    }
    if (!(await customers.exists(customer))) return [["stripeCustomerId", `${customer} was not found at Stripe`]];
    if (!id) return [];
    const found = await subscriptions.read(id);
    if (found === null) return [["stripeSubscriptionId", `${id} was not found at Stripe`]];
    return differences(organization, found, { mode: records.account.mode, now });
  });
}

function differences(
  organization: SeedOrganization,
  found: ProviderSubscription,
  { mode, now }: { mode: Mode; now: number },
): Problem[] {
  const { subscription, timeZone, stripeCustomerId, stripeSubscriptionItemId: itemId } = organization;
  const item = found.items.find(({ id }) => id === itemId);
  if (found.customer !== stripeCustomerId)
    return [["stripeCustomerId", `is not ${found.customer}, who has ${found.id}`]];
  if (found.mode !== mode) return [["stripeSubscriptionId", `is in ${found.mode} mode`]];
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
