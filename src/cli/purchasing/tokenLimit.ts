import { isMissing } from "../../client/missing.ts";
import type { Me } from "../../contract/identity.ts";
import type { Scope } from "../../contract/scopes.ts";
import { CliError } from "../errors.ts";
import { moneyText } from "../render/money.ts";
import { licenses } from "../render/words.ts";
import type { Offer } from "./offer.ts";
import type { PurchasingTools } from "./tools.ts";

const NEEDED: Scope = "billing:purchase";

/**
 * Says in a dry run what the backend would say of the token when the purchase comes: that it may not buy, or not so much.
 * A backend that does not tell about tokens is no reason to fail.
 *
 * @throws CliError `insufficient_scope`, `spend_limit_exceeded`
 */
export async function assertTokenAllows(
  { quote }: Offer,
  { client, busy }: Pick<PurchasingTools, "client" | "busy">,
): Promise<void> {
  const me = await busy("Asking what the token may do", client.me()).catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
  if (me === null) return;
  if (!me.token.scopes.includes(NEEDED)) {
    throw new CliError("insufficient_scope", `Buying needs a token with the scope ${NEEDED}`);
  }
  const limit = exceededLimit(me.token, quote);
  if (limit !== null) throw new CliError("spend_limit_exceeded", `This purchase ${limit} this month`);
}

function exceededLimit({ name, spendLimit }: Me["token"], { total, licenses: count }: Offer["quote"]): string | null {
  if (spendLimit === null) return null;
  const { amount, amountLeft, licenses: most, licensesLeft } = spendLimit;
  if (amount !== null && amountLeft !== null && total.amount > amountLeft.amount) {
    const left = `${moneyText(amountLeft)} left of its ${moneyText(amount)}`;
    return `costs ${moneyText(total)}, and the token "${name}" has ${left}`;
  }
  if (licensesLeft !== null && count > licensesLeft) {
    return `has ${licenses(count)}, and the token "${name}" has ${licensesLeft} left of its ${most}`;
  }
  return null;
}
