import type { BackendDeps } from "../deps.ts";
import { isSigned, signed } from "../http/body.ts";

/** How long a form of the payment page may be sent, milliseconds by the machine's clock. */
const FORM_LIFE_MS = 3_600_000;

type PageDeps = Pick<BackendDeps, "pageKey" | "pageOrigin">;

/**
 * The address of a purchase's payment page: nobody finds it who was not told it, and nothing of it is stored.
 *
 * @param host the host that the caller named, see `pageOrigin`
 */
export function paymentPageUrl(deps: PageDeps, purchaseId: string, host: string): string {
  return `${deps.pageOrigin(host)}/pay/${purchaseId}/${signed(deps, ["pay", purchaseId])}`;
}

/** Whether an address's signature is the one of this purchase. */
export function isPageSignature(deps: PageDeps, purchaseId: string, signature: string): boolean {
  return isSigned(deps, ["pay", purchaseId], signature);
}

/**
 * What the page's form carries, so that only a form that this backend showed is taken: good for an hour and one page. It
 * needs no cookie, because nobody else knows the page's address.
 *
 * @param now the machine's clock, milliseconds
 */
export function formToken(deps: PageDeps, purchaseId: string, now: number): string {
  const until = String(now + FORM_LIFE_MS);
  return `${until}.${signed(deps, ["pay form", purchaseId, until])}`;
}

/** Whether a form's token is one that `formToken` made for this purchase in the last hour. */
export function isFormToken(deps: PageDeps, purchaseId: string, token: string, now: number): boolean {
  const [until = "", signature = ""] = token.split(".");
  return isSigned(deps, ["pay form", purchaseId, until], signature) && now < Number(until);
}
