import type { Me } from "../../contract/identity.ts";
import type { Scope } from "../../contract/scopes.ts";
import { CliError } from "../errors.ts";
import { moneyText } from "../render/money.ts";
import { licenses } from "../render/words.ts";
import type { Offer } from "./offer.ts";

const NEEDED: Scope = "billing:purchase";

/**
 * Says of a token, before anything is decided, what the backend would say when the purchase comes: that it may not buy,
 * or not so much.
 *
 * @param me who is signed in; `null` where the backend does not tell, which is no reason to fail
 * @throws CliError `insufficient_scope`, `spend_limit_exceeded`
 */
export function assertTokenAllows(me: Me | null, { quote }: Pick<Offer, "quote">): void {
  if (me === null) return;
  assertMayPurchase(me);
  const limit = exceededLimit(me.token, quote);
  if (limit !== null) throw new CliError("spend_limit_exceeded", `This purchase ${limit} this month`);
}

/**
 * Says of a token that it may not change purchases or the renewal.
 *
 * @throws CliError `insufficient_scope`
 */
export function assertMayPurchase(me: Pick<Me, "token"> | null): void {
  if (me === null || me.token.scopes.includes(NEEDED)) return;
  throw new CliError("insufficient_scope", `This needs a token with the scope ${NEEDED}`);
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
