import { money } from "../../billing/money.ts";
import type { ApiToken, Me } from "../../contract/identity.ts";
import type { BackendDeps } from "../deps.ts";
import type { ApiTokenRow } from "../store/schema.ts";
import { readSpent } from "../store/spending.ts";
import { readSubscription } from "../store/subscriptions.ts";
import type { ApiTokenWithCreator } from "../store/tokens.ts";

type ViewDeps = Pick<BackendDeps, "database" | "now" | "clock">;

/** An API token as the contract shows it, with what is left of its limits this month. */
export async function tokenView(deps: ViewDeps, token: ApiTokenWithCreator): Promise<ApiToken> {
  return {
    id: token.id,
    name: token.name,
    scopes: JSON.parse(token.scopes_json) as string[],
    createdAt: token.created_at === null ? null : new Date(token.created_at).toISOString(),
    ...lifeOf(token.expires_at, deps.now()),
    last4: token.last4,
    spendLimit: await spendLimitOf(deps, token),
    createdBy: { email: token.email },
  };
}

/** When a token ends, and how many seconds that is from now, rounded up and 0 once it is over; `null` for never. Machine clock. */
export function lifeOf(expiresAt: number | null, now: number): Pick<ApiToken, "expiresAt" | "expiresIn"> {
  if (expiresAt === null) return { expiresAt: null, expiresIn: null };
  return {
    expiresAt: new Date(expiresAt).toISOString(),
    expiresIn: Math.max(0, Math.ceil((expiresAt - now) / 1000)),
  };
}

/** What a token may spend in this month of the billing zone and what is left of it; `null` without a limit. */
export async function spendLimitOf(deps: ViewDeps, token: ApiTokenRow): Promise<Me["token"]["spendLimit"]> {
  const { limit_amount: amount, limit_licenses: licenses } = token;
  if (amount === null && licenses === null) return null;
  const { currency, time_zone: timeZone } = await readSubscription(deps.database, token.organization_id);
  const spent = await readSpent(deps.database, token.id, timeZone, deps.clock.now());
  return {
    amount: amount === null ? null : money(amount, currency),
    amountLeft: amount === null ? null : money(Math.max(0, amount - spent.amount), currency),
    licenses,
    licensesLeft: licenses === null ? null : Math.max(0, licenses - spent.licenses),
  };
}
